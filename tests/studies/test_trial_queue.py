"""The queue of a study: every point is claimed once, ends once, and comes again where its worker is gone."""

import contextlib
import sqlite3
import subprocess
import sys
import time

import optuna
import pytest
from sqlalchemy import text

from vaecli.studies import storage, trial_queue
from vaecli.studies.plan import Plan
from vaecli.studies.space import Range
from vaecli.studies.trial_queue import Ending, TrialLost, TrialQueue
from vaecli.studies.trials import DONE, FAILED, LOST, PRUNED, WAITING


@pytest.fixture
def open_queue(tmp_path):
    queues = []

    def opened(settings, **options):
        queues.append(TrialQueue(Plan.of(settings, tmp_path, name="s", **options)))
        return queues[-1]

    yield opened
    for queue in queues:
        queue.storage.close()


@pytest.fixture
def soon(monkeypatch):
    """A worker is missed after two seconds."""
    monkeypatch.setitem(storage.HEARTBEAT, "file", 1)
    monkeypatch.setitem(storage.GRACE, "file", 1)


def end(state=DONE, value=-1.0, **run):
    return Ending(state, {"host": "h", **run}, value if state == DONE else None)


def trained(queue):
    """Trains all that wait; gives the points in the order that they were claimed in."""
    points = []

    def train(claimed):
        points.append((claimed.settings.get("latent_dim", claimed.group), claimed.seed))
        return end()

    while queue.train_next(train):
        pass
    return points


def by_optuna(queue):
    """The study as anybody else sees it."""
    return optuna.load_study(study_name="s", storage=f"sqlite:///{queue.storage.address.file}")


GRID = {"latent_dim": [2, 3], "seed": [5, 6]}


def test_a_grid_is_enqueued_once_all_settings_with_the_first_seed_first(open_queue):
    first, second = open_queue(GRID), open_queue(GRID)
    for _ in range(3):
        second.replenish()
    assert [trial.state for trial in first.trials()] == [WAITING] * 4
    assert trained(first) == [(2, 5), (3, 5), (2, 6), (3, 6)]
    assert not trained(second)
    assert [(trial.state, trial.value, trial.host) for trial in second.trials()] == [(DONE, -1.0, "h")] * 4


def test_a_large_grid_is_enqueued_a_part_at_a_time(open_queue, monkeypatch):
    monkeypatch.setattr(trial_queue, "AHEAD", 3)
    queue = open_queue({"latent_dim": list(range(2, 10))})
    points = trained(queue)
    while len(points) < 8:
        queue.replenish()
        points += trained(queue)
    assert points == [(number, 0) for number in range(2, 10)]


def test_a_sampled_setting_gets_its_other_seeds(open_queue):
    queue = open_queue({"lr": Range(1e-4, 1e-2), "seed": [1, 2, 3]}, trials=6)
    assert trained(queue) == [(0, 1), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    settings = {trial.group: trial.settings for trial in queue.trials()}
    assert all(trial.settings == settings[trial.group] for trial in queue.trials())
    assert settings[0] != settings[1]
    more = open_queue({"lr": Range(1e-4, 1e-2), "seed": [1, 2, 3]}, trials=9)
    for _ in range(2):
        more.replenish()
    assert trained(more) == [(2, 1), (2, 2), (2, 3)]


def test_how_a_trial_ends_is_kept(open_queue):
    queue = open_queue({"latent_dim": [2, 3]})

    def prune(claimed):
        claimed.report(1, -7.0)
        return end(PRUNED, path="p", seconds=2.5)

    assert queue.train_next(prune)
    assert queue.train_next(lambda claimed: end(FAILED, error="the loss became nan"))
    pruned, failed = queue.trials()
    assert (pruned.state, pruned.value, pruned.path, pruned.seconds) == (PRUNED, -7.0, "p", 2.5)
    assert (failed.state, failed.value, failed.error) == (FAILED, None, "the loss became nan")
    assert pruned.settings == {"latent_dim": 2}


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_trial_that_is_given_back_comes_again_at_once(open_queue, error):
    queue = open_queue(GRID)

    def broken_off(claimed):
        raise error

    with pytest.raises(error):
        queue.train_next(broken_off)
    assert trained(queue) == [(3, 5), (2, 6), (3, 6), (2, 5)]


def test_a_trial_whose_worker_died_as_it_claimed_it_comes_again(open_queue, soon):
    queue = open_queue(GRID)
    dead = by_optuna(open_queue(GRID))  # whose storage shows no heartbeat: as if killed right after the claim
    queue.storage.set_trial_state_values(
        queue.storage.get_trial_id_from_study_id_trial_number(1, 0), optuna.trial.TrialState.RUNNING
    )
    assert dead.trials[0].state.name == "RUNNING"
    time.sleep(2.1)
    assert trained(queue) == [(3, 5), (2, 6), (3, 6), (2, 5)]
    assert [trial.state for trial in queue.trials()] == [LOST, DONE, DONE, DONE, DONE]


def test_a_worker_that_only_seemed_dead_gives_way(open_queue):
    slow, quick = open_queue({"latent_dim": [2, 3]}), open_queue({"latent_dim": [2, 3]})
    notes = []
    slow.storage.note = notes.append

    def seemed_dead(claimed):
        quick.storage.set_trial_state_values(
            quick.storage.get_trial_id_from_study_id_trial_number(1, 0), optuna.trial.TrialState.FAIL
        )
        with pytest.raises(TrialLost):
            claimed.report(1, -50.0)
        return end(value=-50.0)

    assert slow.train_next(seemed_dead)
    for _ in range(3):
        quick.replenish()
    assert trained(quick) == [(3, 0)]
    for _ in range(2):
        quick.replenish()
    assert trained(quick) == [(2, 0)]
    assert [(trial.state, trial.value) for trial in quick.trials()] == [(LOST, None), (DONE, -1.0), (DONE, -1.0)]
    assert notes == ["Trial 0 was given to another worker, as this one seemed dead"]


def test_a_point_that_was_enqueued_twice_is_trained_once(open_queue):
    queue = open_queue(GRID)
    by_optuna(queue).enqueue_trial({"latent_dim": 3}, user_attrs={"group": 1, "seed": 6})
    by_optuna(queue).enqueue_trial({"latent_dim": 9})
    assert trained(queue) == [(2, 5), (3, 5), (2, 6), (3, 6)]
    assert [trial.state for trial in queue.trials()] == [DONE] * 4 + [LOST]


def test_a_point_that_was_forgotten_is_enqueued_at_the_second_look(open_queue):
    """Its worker was lost, and who saw that was killed before it enqueued the trial again."""
    queue = open_queue({"latent_dim": [2, 3]})
    with pytest.warns(UserWarning, match="Heartbeat"):
        queue._optuna.tell(queue._optuna.ask(), state=optuna.trial.TrialState.FAIL)
    assert trained(queue) == [(3, 0)]
    queue.replenish()
    assert not trained(queue), "another may be about to enqueue it"
    queue.replenish()
    assert trained(queue) == [(2, 0)]


def test_a_study_whose_maker_was_killed_before_it_wrote_what_it_is_goes_on(open_queue, tmp_path):
    (tmp_path / "s").mkdir()
    optuna.create_study(study_name="s", storage=f"sqlite:///{tmp_path}/s/study.db", direction="maximize")
    queue = open_queue({"latent_dim": [2, 3]})
    for _ in range(2):
        queue.replenish()
    assert trained(queue) == [(2, 0), (3, 0)]


def test_a_file_is_held_from_the_first_word_of_a_transaction(open_queue):
    """Else two read that a trial waits before either writes that it has it."""
    held = open_queue(GRID).storage
    with held.engine.connect() as reading, contextlib.closing(sqlite3.connect(held.address.file, timeout=0)) as other:
        reading.execute(text("SELECT state FROM trials"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")


SCRIPT = """
import sys
from pathlib import Path
from vaecli.studies.plan import Plan
from vaecli.studies.trial_queue import Ending, TrialQueue
with TrialQueue(Plan.of({"latent_dim": list(range(2, 12)), "seed": [0, 1]}, Path(sys.argv[1]), name="s")) as queue:
    def train(claimed):
        print(claimed.group, claimed.seed)
        return Ending("done", {"host": "h"}, -1.0)
    while queue.train_next(train):
        pass
"""


@pytest.mark.system
def test_trials_are_claimed_once_by_processes_that_share_a_file(open_queue, tmp_path):
    queue = open_queue({"latent_dim": list(range(2, 12)), "seed": [0, 1]})
    workers = [subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    points = [line for worker in workers for line in worker.communicate(timeout=120)[0].splitlines()]
    assert len(points) == len(set(points)) == 20
    assert {trial.state for trial in queue.trials()} == {DONE}
