"""Threads beside other work: what is seen of it, and how OpenMP's threads wait then."""

import os
import subprocess
import sys

import pytest

from tests.helpers import ROOT
from vaecli import threads

pytestmark = pytest.mark.skipif(threads.waiting_time() is None, reason="the system does not count how long threads wait")

LIST_THREADS = """
import threading
from vaecli.threads import configure_torch
configure_torch()
print(*(thread.name for thread in threading.enumerate()))
"""
COMPETE = """
import hashlib, os, threading, time
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from vaecli.threads import waiting_time
def compute():
    end = time.monotonic() + 1
    while time.monotonic() < end:
        hashlib.sha256(bytes(1_000_000))
before = waiting_time()
workers = [threading.Thread(target=compute) for _ in range(COUNT)]
for worker in workers: worker.start()
time.sleep(0.8)
print(waiting_time() - before)
"""


def python(lines, **environment):
    kept = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True, env=kept | environment)
    return done.stdout.strip()


@pytest.mark.system
def test_threads_that_share_a_processor_wait_for_it():
    """Of three threads on one processor two wait, whatever other processes do."""
    assert float(python(COMPETE.replace("COUNT", "3"))) > 1


@pytest.mark.parametrize(
    ("before", "shares", "after"),
    [
        (False, [], False),
        (False, [0.9], False),
        (False, [0.02] * 5, False),
        (False, [0.0, 0.0, 0.02, 0.05, 0.2], False),
        (False, [0.45] * 5, True),
        (False, [0.08] * 5, False),
        (True, [0.08] * 5, True),
        (True, [0.02] * 5, False),
        (True, [0.0, 0.0, 0.0, 0.0, 0.4], True),
    ],
)
def test_the_machine_is_crowded_after_half_a_second_of_waiting_and_quiet_after_half_a_second_without(before, shares, after):
    assert threads.crowded(before, shares) == after


WAIT = """
import os, time, torch
from vaecli import threads
values = torch.ones(1_000_000)
x, y = torch.randn(500, 784), torch.randn(784, 500)
def processor_seconds():
    start = time.process_time()
    for _ in range(40):
        values.add_(1)
        time.sleep(0.004)  # in which the second thread waits
    return time.process_time() - start
spinning, product, tasks = processor_seconds(), x @ y, len(os.listdir("/proc/self/task"))
library = threads._gnu_openmp()
with threads.asleep(library):
    assert len(os.listdir("/proc/self/task")) >= tasks + library.omp_get_num_procs()
    asleep = processor_seconds()
    assert torch.equal(product, x @ y)
time.sleep(0.2)
print(asleep / min(spinning, processor_seconds()))
"""


@pytest.mark.system
@pytest.mark.skipif(threads._gnu_openmp() is None, reason="torch computes with another OpenMP")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors, one of them for the thread that waits")
def test_threads_that_wait_sleep_while_they_are_asked_to_and_results_stay_the_same():
    assert float(python(WAIT, OMP_NUM_THREADS="2")) < 0.5


@pytest.mark.system
def test_the_users_own_choice_of_waiting_wins():
    assert python(LIST_THREADS, GOMP_SPINCOUNT="1000") == "MainThread"
    assert python(LIST_THREADS, OMP_WAIT_POLICY="passive") == "MainThread"
    assert python(LIST_THREADS, OMP_NUM_THREADS="1") == "MainThread"
    expected = "MainThread" if threads._gnu_openmp() is None else "MainThread vaecli-threads"
    assert python(LIST_THREADS, OMP_NUM_THREADS="2") == expected


@pytest.mark.system
def test_only_work_that_trains_or_measures_starts_a_thread():
    """A command sets its process up to draw, and images are read, without one; within `measure` there is one."""
    lines = f"""
import threading, vaecli
from vaecli.cli.runs import open_run, resolve_device
names = lambda *_: print(*(thread.name for thread in threading.enumerate()))
digits = vaecli.load_images("mnist", "test", limit=2)
run = open_run({str(ROOT / "checkpoints/baseline")!r})
resolve_device("cpu")
names()
vaecli.measure(run.model, digits, k=(2,), exact=False, on_share=names)
"""
    said = python(lines, OMP_NUM_THREADS="2").splitlines()
    assert said[0] == "MainThread"
    if threads._gnu_openmp() is not None:
        assert said[1] == "MainThread vaecli-threads"
