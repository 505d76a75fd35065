"""Three workers, each killed at random moments, and a server that restarts: every point of a study ends once."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import optuna
import pytest

from tests.studies.postgresql import WORKER, needs_postgresql
from vaecli.studies.plan import Plan
from vaecli.studies.trial_queue import TrialQueue
from vaecli.studies.trials import DONE, LOST

KILLS, WORKERS, EPOCHS = 20, 3, 10
SETTINGS = {"latent_dim": [2, 3, 4, 5, 6, 7, 8, 9], "seed": [0, 1, 2], "epochs": EPOCHS, "validation": 100, "batch_size": 20}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def test_every_point_ends_once(kind, request, tmp_path, small_mnist):
    started = request.getfixturevalue("server") if kind == "postgresql" else None
    storage = started.url() if started else None
    words = [word for name, value in SETTINGS.items() for word in (
        f"--{name.replace('_', '-')}", ",".join(map(str, value)) if isinstance(value, list) else str(value))]  # fmt: skip
    words += ["--data-dir", str(small_mnist), "--name", "many", "--out", str(tmp_path / "runs")]
    words += ["--storage", storage] if storage else []
    moment = random.Random(0)

    def begun():
        log = (tmp_path / f"stderr-{len(logs)}").open("w+")
        logs.append(log)
        process = subprocess.Popen([sys.executable, "-c", WORKER, "search", *words], stdout=subprocess.DEVNULL, stderr=log)
        return process, log, []

    logs, codes, kills, restarts = [], [], 0, 0
    workers = [begun() for _ in range(WORKERS)]
    end = time.monotonic() + 1500
    while workers:
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
        for worker in list(workers):
            process, log, until = worker
            if not until and os.fstat(log.fileno()).st_size:  # it has begun
                until.append(time.monotonic() + moment.uniform(0, 12))
            if process.poll() is not None:
                workers.remove(worker)
                codes.append(process.returncode)
                if process.returncode:
                    workers.append(begun())
            elif kills < KILLS and until and time.monotonic() > until[0]:
                process.kill()
                process.wait()
                kills += 1
        if started and restarts < 2 and kills > (restarts + 1) * KILLS // 3:
            started("pg_ctl", "-w", "-m", ("fast", "immediate")[restarts], "restart")
            restarts += 1
    said = []
    for log in logs:
        log.seek(0)
        said.append(log.read())
        log.close()
    assert kills == KILLS, "all trials ended before"
    assert not [text for text in said if "Traceback" in text]
    assert set(codes) <= {0, -signal.SIGKILL, *((1,) if started else ())}, "one that starts while the server restarts may end"
    with TrialQueue(Plan.of(SETTINGS, tmp_path / "runs", name="many", storage=storage, data_dir=small_mnist)) as queue:
        trials = queue.trials()
        states = Counter(trial.state for trial in trials)
        print(kind, dict(states), "exit codes", Counter(codes), "restarts", restarts)
        assert states.keys() == {DONE, LOST}
        done = [trial.point for trial in trials if trial.state == DONE]
        assert len(done) == len(set(done)) == 24
        assert len(optuna.study.get_all_study_names(queue.storage)) == 1
    rows = [len(log.read_text().splitlines()) for log in (tmp_path / "runs").glob("own-*/loss.csv")]
    assert rows == [EPOCHS + 1] * 24
