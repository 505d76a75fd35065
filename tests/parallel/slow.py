"""A training in which one process starts and reads slowly, and another writes slowly, longer than any waits for a step.

python -m torch.distributed.run --nproc-per-node 2 slow.py FOLDER DATA
"""

import sys
import time
from datetime import timedelta

import vaecli
from vaecli import processes, torchrun
from vaecli.data import read_once
from vaecli.runs import train

STEP, SLOW = 8, 12


def slowly(work):
    def late(*arguments):
        time.sleep(SLOW)
        return work(*arguments)

    return late


if __name__ == "__main__":
    folder, data = sys.argv[1:]
    processes.TIMEOUT = timedelta(seconds=STEP)
    read = read_once()
    if torchrun.rank().is_main:
        train.save_epoch = slowly(train.save_epoch)
    else:
        time.sleep(SLOW)
        read = slowly(read)  # both splits
    vaecli.train(vaecli.Config(hidden=(10,), epochs=2, precision="fp32"), folder, data_dir=data, read=read)
