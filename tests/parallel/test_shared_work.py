"""One, two and three processes do the same, in a script of a person's own and on the command line."""

import json

import pytest
import torch

from tests.helpers import BASELINE, rounding
from tests.parallel import ends, killed, shared_work, slow
from tests.parallel.torchrun import SMALL, ran, said
from vaecli.data import load_images
from vaecli.evaluation.importance import evaluate
from vaecli.runs.find import CONFIG, FILES, MODEL
from vaecli.runs.run import read_run
from vaecli.threads import computing_threads

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def alone(tmp_path_factory, small_mnist):
    """One process, with one thread, as each of torchrun's has."""
    folder = tmp_path_factory.mktemp("alone")
    with computing_threads(1):
        shared_work.work(folder, small_mnist)
    return json.loads((folder / "found-0.json").read_text())


def numbers(value, path=()):
    if isinstance(value, dict):
        for name, item in value.items():
            yield from numbers(item, (*path, name))
    elif isinstance(value, int | float):
        yield path, value


@pytest.mark.parametrize("size", [2, 3])
def test_a_script_finds_the_same(tmp_path, small_mnist, alone, size):
    outcome = ran(tmp_path, "--nproc-per-node", size, shared_work.__file__, tmp_path, small_mnist)
    assert outcome.returncode == 0, outcome.stderr
    found = [json.loads((tmp_path / f"found-{rank}.json").read_text()) for rank in range(size)]
    assert all(other == found[0] for other in found)
    for pair in zip(found[0]["gradients"], alone["gradients"], strict=True):
        gradient, expected = (torch.tensor(these, dtype=torch.float64) for these in pair)
        assert float((gradient - expected).norm() / expected.norm()) < rounding("iwae", -alone["results"]["test_elbo"])
    clipped = float(torch.tensor(alone["gradients"][0], dtype=torch.float64).norm())
    assert clipped == pytest.approx(shared_work.SETTINGS["clip_norm"], rel=1e-3), "of 16 before it was clipped"
    for name in ("test_elbo", "elbo", "test_kl"):
        assert found[0]["results"][name] == pytest.approx(alone["results"][name], abs=0.05)
    # the runs differ by the order of float sums; of one model all numbers are equal, which the next test has


def test_compare_prints_the_same(tmp_path, vaecli):
    line = ["compare", BASELINE, "--k", "1,50", "--limit", "20", "--exact", "--proposal", "mixture", "--json",
            "--ais", "--ais-temperatures", "10", "--ais-chains", "40", "--bdmc", "--bdmc-images", "12"]  # fmt: skip
    with computing_threads(1):  # as each of torchrun's processes has
        alone = json.loads(vaecli(*line, "--table-only").out)
    outcome = ran(tmp_path, "--nproc-per-node", 2, "-m", "vaecli", *line, "--out", tmp_path / "pictures")
    assert outcome.returncode == 0, outcome.stderr
    shared = json.loads(outcome.stdout)
    assert len(list((tmp_path / "pictures").iterdir())) == len(shared["files"]) == 3
    pairs = list(zip(numbers(alone["table"][0]), numbers(shared["table"][0]), strict=True))
    assert len(pairs) > 20
    for (path, expected), (other, value) in pairs:
        assert (path, value) == (other, pytest.approx(expected, abs=1e-6))


def test_train_writes_one_run_and_says_how_many_processes(tmp_path, small_mnist):
    line = ["-m", "vaecli", "train", "--data-dir", small_mnist, *SMALL, "--name", "r"]
    outcome = ran(tmp_path, "--nproc-per-node", 2, *line, "--epochs", "2", "--k", "700", "--limit", "41")
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == "checkpoints/r\n"
    words = [line.split()[0] for line in outcome.stderr.splitlines()]
    assert words == ["Begin", "Epoch", "Epoch", "Training", "Worse", *words[5:]]  # warnings, each once
    assert len(outcome.stderr.splitlines()) == len(set(outcome.stderr.splitlines()))
    run = tmp_path / "checkpoints" / "r"
    assert sorted(file.name for file in run.iterdir()) == sorted(FILES)
    assert read_run(run).provenance.processes == json.loads((run / CONFIG).read_text())["provenance"]["processes"] == 2

    refused = ran(tmp_path, "--nproc-per-node", 2, *line, "--epochs", "2", "--k", "700", "--limit", "41")
    assert refused.returncode == 1
    (message,) = said(refused.stderr)
    assert "checkpoints/r: found a run there" in message


def test_the_first_process_decides_when_to_stop_and_has_the_best_epoch(tmp_path, small_mnist):
    """Also where it alone has the best epoch's weights, since the others have not seen that epoch."""
    words = ["--hidden", "30", "--batch-size", "5", "--epochs", "12", "--limit", "60", "--lr", "0.05", "--validation", "100"]
    line = ["-m", "vaecli", "train", "--data-dir", small_mnist, *words, "--precision", "fp32", "--name", "r"]
    held_out = load_images("mnist", "train", small_mnist)[-100:]
    epochs = 0
    for patience, more in ((2, []), (4, ["--resume"])):
        outcome = ran(tmp_path, "--nproc-per-node", 2, *line, "--patience", patience, *more)
        assert outcome.returncode == 0, outcome.stderr
        run = read_run(tmp_path / "checkpoints" / "r")
        bounds = [row["validation_elbo"] for row in run.log]
        assert len(bounds) > epochs and run.results["epoch"] == 1 + bounds.index(max(bounds)) < len(bounds)
        assert float(evaluate(run.model, held_out).elbo.mean()) == pytest.approx(max(bounds), abs=1e-2)
        assert outcome.stderr.count("is kept") == 1
        epochs = len(bounds)


def test_another_number_of_processes_goes_on_with_a_note(tmp_path, small_mnist, vaecli):
    line = ["train", "--data-dir", small_mnist, *SMALL, "--name", "r"]
    assert vaecli(*line, "--epochs", "1").code == 0
    outcome = ran(tmp_path, "--nproc-per-node", 2, "-m", "vaecli", "train", "--name", "r", "--resume", "--epochs", "2")
    assert outcome.returncode == 0, outcome.stderr
    assert "1 process, now 2" in outcome.stderr
    again = vaecli("train", "--name", "r", "--resume", "--epochs", "3")
    assert again.code == 0
    assert "2 processes, now 1" in again.err
    assert len(read_run(tmp_path / "checkpoints" / "r").log) == 3


def test_a_run_that_diverges_ends_all_with_one_line(tmp_path, small_mnist):
    line = ["-m", "vaecli", "train", "--data-dir", small_mnist, *SMALL, "--lr", "1000000"]
    outcome = ran(tmp_path, "--nproc-per-node", 2, *line)
    assert outcome.returncode == 1
    (message,) = said(outcome.stderr)
    assert "the loss became" in message
    assert "nothing was saved yet" in message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sample", "RUN", "--out", "x.png"], None),
        (["train", "--help"], None),
        (["report"], "report: found 2 processes of torchrun, expected one"),
        (["train", "--epochs", "none"], "--epochs"),
        (["compare", "nobody"], "nobody: no such run"),
    ],
)
def test_only_the_first_process_speaks(tmp_path, trained, words, expected):
    outcome = ran(tmp_path, "--nproc-per-node", 2, "-m", "vaecli", *[str(trained) if word == "RUN" else word for word in words])
    if expected is None:
        assert outcome.returncode == 0, outcome.stderr
        assert outcome.stdout.count("x.png" if words[0] == "sample" else "Usage:") == 1
    else:
        assert outcome.returncode == 1  # torchrun's
        (message,) = said(outcome.stderr)
        assert expected in message


@pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are GPUs")
def test_more_gpus_than_there_are(monkeypatch):
    from vaecli.device import resolve_device
    from vaecli.errors import UsageError

    for name, value in (
        ("TORCHELASTIC_RUN_ID", "x"),
        ("RANK", "1"),
        ("WORLD_SIZE", "2"),
        ("LOCAL_RANK", "1"),
        ("LOCAL_WORLD_SIZE", "2"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="2 processes here: found GPUs for 1, expected one per process"):
        resolve_device("cuda")


def test_one_process_does_not_join(small_mnist, tmp_path):
    """And one that torchrun started alone computes the same bytes."""
    import vaecli

    config = vaecli.Config(hidden=(10,), epochs=1, precision="fp32")
    vaecli.train(config, tmp_path / "plain", data_dir=small_mnist, threads=1)
    assert not torch.distributed.is_initialized()
    line = ["-m", "vaecli", "train", "--hidden", "10", "--epochs", "1", "--precision", "fp32", "--data-dir", small_mnist]
    assert ran(tmp_path, "--nproc-per-node", 1, *line, "--threads", 1, "--name", "one").returncode == 0
    written = [(folder / MODEL).read_bytes() for folder in (tmp_path / "plain", tmp_path / "checkpoints" / "one")]
    assert written[0] == written[1]


def test_processes_end_without_an_abort(tmp_path):
    """Two thirds of them were aborted when they left their connections open."""
    for _ in range(2):
        outcome = ran(tmp_path, "--nproc-per-node", 2, ends.__file__)
        assert outcome.returncode == 0, outcome.stderr


def test_killed_within_an_epoch_they_go_on_as_if_they_never_were(tmp_path, small_mnist):
    """Two kills: by steps, within the first epoch and between the first check of the loss and the second; and by minutes."""
    for saves in 1, 3, 0:
        outcome = ran(tmp_path, "--nproc-per-node", 3, killed.__file__, tmp_path / "torn", small_mnist, saves)
        assert (outcome.returncode == 0) == (saves == 0), outcome.stderr
        if saves:
            assert read_run(tmp_path / "torn").results["step"] % 12
    outcome = ran(tmp_path, "--nproc-per-node", 3, killed.__file__, tmp_path / "whole", small_mnist, 0)
    assert outcome.returncode == 0, outcome.stderr
    torn, whole = read_run(tmp_path / "torn"), read_run(tmp_path / "whole")
    assert torn.sha256 == whole.sha256
    assert torn.results == whole.results
    seconds = {"seconds": 0, "images_per_second": 0}
    assert [row | seconds for row in torn.log] == [row | seconds for row in whole.log]


def test_a_process_that_starts_reads_or_writes_slowly_is_waited_for(tmp_path, small_mnist):
    outcome = ran(tmp_path, "--nproc-per-node", 2, slow.__file__, tmp_path / "run", small_mnist, timeout=400)
    assert outcome.returncode == 0, outcome.stderr
    assert len(read_run(tmp_path / "run").log) == 2
