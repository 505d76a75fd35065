"""A training whose first process is killed once it has saved the run so many times within epochs; with 0 never.

python -m torch.distributed.run --nproc-per-node 3 killed.py FOLDER DATA SAVES [DATASET]
"""

import os
import signal
import sys
from dataclasses import replace

import vaecli
from vaecli import torchrun
from vaecli.runs import train
from vaecli.training import loop

CONFIG = vaecli.Config(hidden=(10,), epochs=3, measure_every=2, batch_size=50, objective="iwae", k=2, precision="fp32")

if __name__ == "__main__":
    folder, data, saves, *dataset = sys.argv[1:]
    config = replace(CONFIG, dataset=dataset[0], image_size=16, colour="grey") if dataset else CONFIG
    loop.CHECK_EVERY = 4
    save, done = train.save_within, []

    def save_and_die(*arguments):
        save(*arguments)
        done.append(arguments)
        if len(done) == int(saves):
            os.kill(os.getpid(), signal.SIGKILL)

    if torchrun.rank().is_main:
        train.save_within = save_and_die
    every = "0.0001min" if int(saves) % 2 else 7
    vaecli.train(config, folder, data_dir=data, resume=True, save_every=every if int(saves) else None)
