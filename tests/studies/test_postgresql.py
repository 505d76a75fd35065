"""A study in a real PostgreSQL: many workers, one killed, the server restarted, and the wrong ways in."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.helpers import one_line
from tests.studies.postgresql import IN_A_URL, PASSWORD, WORKER, needs_postgresql
from vaecli.errors import VaecliError
from vaecli.studies.plan import Plan
from vaecli.studies.storage import GRACE
from vaecli.studies.trial_queue import TrialQueue
from vaecli.studies.trials import DONE, LOST, RUNNING

pytestmark = [pytest.mark.system, needs_postgresql]


def plan_of(server, tmp_path, name, settings=None):
    settings = settings or {"latent_dim": [2, 3], "epochs": 1}
    return Plan.of(settings, tmp_path, name=name, storage=server.url())


def until(true, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def everything_in(server):
    """The text of all rows of all tables."""
    engine = create_engine(f"postgresql+psycopg{server.url().removeprefix('postgresql')}")
    try:
        with engine.connect() as connection:
            tables = [connection.execute(text(f"SELECT * FROM {name}")).all() for name in inspect(engine).get_table_names()]
    finally:
        engine.dispose()
    return repr(tables)


@pytest.fixture
def start():
    """Starts a process, which ends with the test."""
    processes = []

    def started(line):
        processes.append(subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield started
    for process in processes:
        process.kill()
        if not process.stdout.closed:
            process.communicate()


def test_three_workers_one_killed_and_the_server_restarted(server, start, tmp_path, small_mnist):
    """Two share a folder, the third is as on another machine; none of their trials is lost, and none is done twice."""
    words = ["search", "--latent-dim", "2,3,4", "--seed", "0,1,2", "--epochs", "9", "--validation", "100", "--batch-size", "20"]
    line = [sys.executable, "-c", WORKER, *words, "--data-dir", str(small_mnist), "--name", "many", "--storage", server.url()]
    folders = [tmp_path / "here", tmp_path / "here", tmp_path / "there"]
    workers = [start([*line, "--out", str(folder)]) for folder in folders]
    settings = {"latent_dim": [2, 3, 4], "seed": [0, 1, 2], "epochs": 9, "validation": 100, "batch_size": 20}
    plan = Plan.of(settings, tmp_path / "watch", name="many", storage=server.url(), data_dir=small_mnist)
    with TrialQueue(plan) as watch:

        def begun_there():
            return [log for log in (tmp_path / "there").glob("own-*/loss.csv") if len(log.read_text().splitlines()) < 10]

        until(lambda: any(trial.over for trial in watch.trials()))
        until(begun_there)
        workers[2].kill()
        workers[2].wait()
        running = [trial.point for trial in watch.trials() if trial.state == RUNNING]
        server("pg_ctl", "-w", "-m", "fast", "restart")
        said = [worker.communicate(timeout=120) for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, -signal.SIGKILL], said
        trials = watch.trials()
        assert {trial.state for trial in trials} == {DONE, LOST}
        done = [trial.point for trial in trials if trial.state == DONE]
        assert sorted(done) == [(group, seed) for group in range(3) for seed in range(3)]
        lost = [trial.point for trial in trials if trial.state == LOST]
        assert set(lost) & set(running), "the killed worker's trial was lost"
        finished = [log.parent.name for log in tmp_path.glob("*here/own-*/loss.csv") if len(log.read_text().splitlines()) == 10]
        assert len(finished) == len(set(finished)) == 9, "no settings were trained to their end on two machines"
        assert "see the password in --storage with ps; PGPASSWORD" in said[0][1]
        assert said[0][0].splitlines()[:4] == said[1][0].splitlines()[:4], "both end with the same table"
    kept = "".join(out + err for out, err in said).encode() + b"".join(
        file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()
    )
    tables = everything_in(server)
    assert "latent_dim" in tables
    for secret in (PASSWORD, IN_A_URL):
        assert secret.encode() not in kept
        assert secret not in tables


def test_trials_are_claimed_once_whoever_asks(server, start, tmp_path):
    plan = plan_of(server, tmp_path, "once", {"latent_dim": list(range(2, 12)), "seed": [0, 1], "epochs": 1})
    script = f"""
import sys
from pathlib import Path
from vaecli.studies.plan import Plan
from vaecli.studies.trial_queue import Ending, TrialQueue
plan = Plan.of({{"latent_dim": list(range(2, 12)), "seed": [0, 1], "epochs": 1}}, Path(sys.argv[1]), name="once",
               storage={plan.storage!r})
def train(claimed):
    print(claimed.group, claimed.seed)
    return Ending("done", {{"host": "h"}}, -1.0)
queue = TrialQueue(plan)
while not all(trial.over for trial in queue.trials()) or not queue.trials():
    if not queue.train_next(train):
        queue.replenish()
"""
    workers = [start([sys.executable, "-c", script, str(tmp_path / str(number))]) for number in range(3)]
    patience = 60 + GRACE["server"]  # a trial whose worker was not heard of is taken by another after that
    points = [line for worker in workers for line in worker.communicate(timeout=patience)[0].splitlines()]
    assert len(points) == len(set(points)) == 20
    with TrialQueue(plan) as queue:
        assert {trial.state for trial in queue.trials()} <= {DONE, LOST}, "one was claimed where none waited any more"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ({"password": ":wrong"}, "refused the user or the password; give the password in PGPASSWORD or ~/.pgpass"),
        ({"password": ""}, "refused the user or the password"),
        ({"user": "nobody"}, "refused the user or the password"),
        ({"database": "nowhere"}, "the server has no such database; make it with createdb"),
    ],
)
def test_the_wrong_ways_in_are_one_line(server, vaecli, monkeypatch, url, said):
    monkeypatch.delenv("PGPASSWORD", raising=False)
    monkeypatch.setenv("PGPASSFILE", "/nowhere")
    outcome = vaecli("search", "--latent-dim", "2,3", "--storage", server.url(**url), "-q")
    line = one_line(outcome, 1)
    assert said in line
    assert not any(secret in line for secret in (PASSWORD, IN_A_URL, "wrong@", ":wrong"))


def test_the_password_may_come_from_the_environment(server, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    plan = replace(plan_of(server, tmp_path, "environment"), storage=server.url(password=""))
    with TrialQueue(plan) as queue:
        assert len(queue.trials()) == 2
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(VaecliError, match="refused the user or the password"):
        TrialQueue(plan)
