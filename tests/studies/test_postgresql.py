"""A study in a real PostgreSQL: many workers, one killed, the server restarted, and the wrong ways in."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.helpers import one_line
from vaecli.errors import VaecliError
from vaecli.studies.plan import Plan
from vaecli.studies.study import BROKEN_OFF, Study
from vaecli.studies.trials import DONE, LOST, RUNNING

PASSWORD = "open-sesame-%41"
IN_A_URL = "open-sesame-%2541"
HEARTBEAT, GRACE = 1, 4
WORKER = f"""
import sys
from dataclasses import replace
from vaecli.cli.app import main
from vaecli.studies.plan import Plan
made = Plan.of
Plan.of = staticmethod(lambda *some, **named: replace(made(*some, **named), heartbeat={HEARTBEAT}, grace={GRACE}))
sys.exit(main())
"""


def missing():
    """Why there can be no server here."""
    if not programs():
        return "PostgreSQL's initdb and pg_ctl are not installed (Debian: apt-get install postgresql)"
    if os.getuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def programs():
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


class Server:
    def __init__(self, folder):
        self.folder, self.user = folder, "postgres" if os.getuid() == 0 else None
        if self.user:
            shutil.chown(folder, self.user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        self("initdb", "-U", "me", "-A", "scram-sha-256", f"--pwfile={folder}/password", "--no-locale", "-E", "UTF8")
        options = f"-p {self.port} -h 127.0.0.1 -k {folder} -F"
        self("pg_ctl", "-w", "-l", f"{folder}/log", "-o", options, "start")

    def __call__(self, program, *words):
        line = [programs() / program, "-D", self.folder / "data", *words]
        # a server that starts keeps its output open
        subprocess.run(line, user=self.user, cwd="/", check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def url(self, database="postgres", password=f":{IN_A_URL}", user="me"):
        return f"postgresql://{user}{password}@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="vaecli-postgresql-", ignore_cleanup_errors=True) as folder:
        made = Server(Path(folder))
        yield made
        made("pg_ctl", "-w", "-m", "immediate", "stop")


def plan_of(server, tmp_path, name, settings=None):
    settings = settings or {"latent_dim": [2, 3], "epochs": 1}
    plan = Plan.of(settings, tmp_path, name=name, storage=server.url())
    return replace(plan, heartbeat=HEARTBEAT, grace=GRACE)


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
    with Study(plan) as watch:

        def running(worker):
            return [trial for trial in watch.trials() if trial.state == RUNNING and f"-{worker.pid}-" in trial.worker]

        def stopped_at_a_trial(worker):
            worker.send_signal(signal.SIGSTOP)
            time.sleep(0.2)  # what it had sent to the server is done by then
            if running(worker):
                return True
            worker.send_signal(signal.SIGCONT)
            return False

        until(lambda: any(trial.over for trial in watch.trials()))
        until(lambda: stopped_at_a_trial(workers[2]))
        workers[2].kill()
        (taken,) = running(workers[2])
        assert all(f"{PASSWORD}" not in Path(f"/proc/{each.pid}/cmdline").read_text() for each in workers[:2])
        assert all(f"{IN_A_URL}" not in Path(f"/proc/{each.pid}/cmdline").read_text() for each in workers[:2])
        server("pg_ctl", "-w", "-m", "fast", "restart")
        said = [worker.communicate(timeout=120) for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, -signal.SIGKILL], said
        trials = watch.trials()
        points = {(trial.settings["latent_dim"], trial.seed) for trial in trials}
        assert len(points) == 9
        done = [trial for trial in trials if trial.state == DONE]
        assert Counter((trial.settings["latent_dim"], trial.seed) for trial in done) == Counter(points)
        (killed,) = [trial for trial in trials if trial.state == LOST and trial.number == taken.number]
        assert killed.error is None, "it was the heartbeat that showed it"
        others = [trial for trial in trials if trial.state == LOST and trial is not killed]
        assert {trial.error for trial in others} <= {BROKEN_OFF}, "the restart may come while a trial is taken"
        (again,) = [trial for trial in done if (trial.group, trial.seed) == (taken.group, taken.seed)]
        assert not again.path.startswith(str(folders[2])), "it was done on the other machine"
        finished = [log.parent.name for log in tmp_path.glob("*here/own-*/loss.csv") if len(log.read_text().splitlines()) == 10]
        assert len(finished) == len(set(finished)) == 9, "no settings were trained to their end on two machines"
        assert said[0][0].splitlines()[:4] == said[1][0].splitlines()[:4], "both end with the same table"
    kept = "".join(out + err for out, err in said).encode() + b"".join(
        file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()
    )
    tables = everything_in(server)
    assert "latent_dim" in tables
    for secret in (PASSWORD, IN_A_URL):
        assert secret.encode() not in kept
        assert secret not in tables


def test_a_worker_that_only_seemed_dead_gives_way(server, tmp_path):
    """Its trial was given to another; it neither goes on nor overwrites how that ends."""
    plan = plan_of(server, tmp_path, "seemed-dead")
    with Study(plan) as slow, Study(replace(plan, out=tmp_path / "other")) as quick:
        taken = slow.take()
        assert slow.is_ours(taken)
        time.sleep(GRACE + 1.5)  # it shows no sign of life
        given = quick.take()
        assert given.point == taken.point
        assert not slow.is_ours(taken)
        quick.end(given, DONE, -100.0)
        slow.end(taken, DONE, -50.0)
        assert [(trial.state, trial.value) for trial in quick.trials()] == [(LOST, None), (DONE, -100.0)]


def test_trials_are_taken_once_whoever_asks(server, start, tmp_path):
    plan = plan_of(server, tmp_path, "once", {"latent_dim": list(range(2, 12)), "seed": [0, 1], "epochs": 1})
    script = f"""
import sys
from dataclasses import replace
from pathlib import Path
from vaecli.studies.plan import Plan
from vaecli.studies.study import BROKEN_OFF, Study
plan = Plan.of({{"latent_dim": list(range(2, 12)), "seed": [0, 1], "epochs": 1}}, Path(sys.argv[1]), name="once",
               storage={plan.storage!r})
study = Study(plan)
while (taken := study.take()) is not None:
    print(taken.point)
    study.end(taken, "done", -1.0)
"""
    workers = [start([sys.executable, "-c", script, str(tmp_path / str(number))]) for number in range(3)]
    points = [line for worker in workers for line in worker.communicate(timeout=60)[0].splitlines()]
    assert len(points) == len(set(points)) == 20
    with Study(plan) as study:
        assert {trial.state for trial in study.trials()} == {DONE}


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
    with Study(plan) as study:
        assert study.trials() == []
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(VaecliError, match="refused the user or the password"):
        Study(plan)
