import json
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch: the workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from filelock import FileLock

from tests import fork_server
from tests.browser import browser  # noqa: F401
from tests.helpers import DATA, REPORTED, Outcome, write_idx
from vaecli import registry
from vaecli.cli.app import main
from vaecli.data import load_images
from vaecli.files import CACHE
from vaecli.runs.find import FILES
from vaecli.threads import configure_torch

TRAIN, TEST = 600, 200
configure_torch()


@pytest.fixture(autouse=True)
def _fresh_interpreters_are_marked(request, monkeypatch):
    """Keeps the default suite quick: a test that starts Python anew, which takes seconds, is marked."""
    if not any(map(request.node.get_closest_marker, ("system", "slow"))):
        begin = subprocess.Popen.__init__

        def check(self, line, *rest, **options):
            assert sys.executable not in line, "mark a test that starts an interpreter: pytest.mark.system"
            begin(self, line, *rest, **options)

        monkeypatch.setattr(subprocess.Popen, "__init__", check)


@pytest.fixture(autouse=True, scope="session")
def _prepared_pictures(tmp_path_factory):
    """Keeps prepared pictures of all tests away from the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(tmp_path_factory.getbasetemp() / "prepared"))
        yield


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """Makes a folder in one process of pytest-xdist, for all of them: takes its name and what fills it."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def make(name, fill):
        folder, done = root / name, root / f"{name}.done"
        with FileLock(root / f"{name}.lock"):
            if not done.exists():
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def digits():
    """The first real training digits."""
    return load_images("mnist", "train", limit=TRAIN)


@pytest.fixture(scope="session")
def small_mnist(tmp_path_factory, digits):
    """A folder of plain IDX files with the first real training and test digits."""
    folder = tmp_path_factory.mktemp("small-mnist")
    write_idx(folder, "train", digits)
    write_idx(folder, "t10k", load_images("mnist", "test", limit=TEST))
    return folder


@pytest.fixture
def vaecli(tmp_path, monkeypatch, capsys):
    """Runs the command line in an empty folder, as a shell would."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(word) for word in arguments])
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def own_members():
    """Takes out again what a test adds to the registry."""
    before = {family: dict(members) for family, members in registry.FAMILIES.items()}
    yield
    for family, members in registry.FAMILIES.items():
        members.clear()
        members.update(before[family])


@pytest.fixture(scope="session")
def trained(tmp_path_factory, small_mnist):
    """A run folder: two epochs on the small set."""
    folder = tmp_path_factory.mktemp("runs")
    assert main(["train", "--epochs", "2", "--data-dir", str(small_mnist), "--out", str(folder), "--name", "small", "-q"]) == 0
    return folder / "small"


@pytest.fixture
def run_copy(trained, tmp_path):
    """A run of one's own to damage, under ``checkpoints/`` of the current folder."""
    folder = tmp_path / "checkpoints" / "small"
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes((trained / name).read_bytes())
    return folder


@pytest.fixture(scope="session")
def reported(made_once):
    """A folder where a part of the report was made from nothing."""

    def make(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("VAECLI_DATA_DIR", str(DATA))
            assert main(["report", *REPORTED, "-q"]) == 0

    return made_once("report", make)


@pytest.fixture(scope="session")
def forked():
    """Runs a command line in a process of its own, without the seconds of an import, and measures it."""
    line = [sys.executable, fork_server.__file__]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def run(folder, *arguments, environment=None, stdout=None, stderr=None, memory=None, no_passwords=False):
            request = {
                "folder": str(folder), "arguments": [str(word) for word in arguments], "environment": environment or {},
                "stdout": stdout, "stderr": stderr, "memory": memory, "no_passwords": no_passwords,
            }  # fmt: skip
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            return SimpleNamespace(**json.loads(process.stdout.readline()))

        yield run
        process.stdin.close()


@pytest.fixture
def alone(forked, run_copy, tmp_path):
    """A command line in a process of its own, where ``checkpoints/small`` is a run."""
    return partial(forked, tmp_path)


@pytest.fixture(scope="session")
def ordinary(forked, trained, tmp_path_factory):
    """The peak of the resident memory of an ordinary `sample`."""
    outcome = forked(tmp_path_factory.mktemp("ordinary"), "sample", trained, "--out", "x.png", "-q")
    assert outcome.code == 0
    return outcome.peak


@pytest.fixture
def unpacked(monkeypatch):
    """The names of the pictures that were opened by Pillow since it was cleared, each as often as it was."""
    from vaecli.data import crop, picture
    from vaecli.data import folder as room

    names = []

    @contextmanager
    def counted(path, *more):
        names.append(path.name)
        with picture.checked_picture(path, *more) as opened:
            yield opened

    for module in (room, crop):
        monkeypatch.setattr(module, "checked_picture", counted)
    return names
