"""The command line's manners, most of them as a shell sees them."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers import from_shell, one_line
from vaecli.runs.find import CONFIG, MODEL

COMMANDS = ["train", "search", "sample", "reconstruct", "encode", "score", "explore", "export", "latent-plot", "inpaint", "compare"]


@pytest.mark.system
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        *([command, "--help"] for command in COMMANDS),
        ["--version"],
        ["train", "--k", "0"],
        *([command, "nowhere"] for command in COMMANDS[2:]),
    ],
)
def test_help_usage_errors_and_wrong_names_load_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "vaecli", *arguments], capture_output=True, text=True, check=False
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "vaecli.registry" in loaded
    assert not loaded & {"torch", "torchvision", "matplotlib", "PIL", "safetensors", "numpy"}


TORCH_ALONE = [
    ["sample", "small"],
    ["reconstruct", "small", "--n", "1"],
    ["encode", "small", "--n", "1"],
    ["score", "small", "--limit", "2"],
    ["sample", "small", "--between", "0", "1"],
    ["latent-plot", "small", "--manifold"],
    ["inpaint", "small", "--n", "1"],
    ["compare", "small", "--k", "0", "--limit", "2", "--table-only"],
    ["train", "--epochs", "1", "--limit", "200"],
    ["train", "--dry-run", "--arch", "conv"],
]
WITH_AXES = [
    ["latent-plot", "small", "--n", "2"],
    ["sample", "small", "--out", "sample.pdf"],
    ["compare", "small", "--k", "0", "--limit", "2"],
    ["report", "--quick", "--only", "5"],
]


@pytest.mark.system
@pytest.mark.parametrize(("commands", "expected"), [(TORCH_ALONE, "torch"), (WITH_AXES, "matplotlib torch")])
def test_commands_load_matplotlib_for_axes_only_and_never_a_compiler(run_copy, tmp_path, commands, expected):
    heavy = {
        "torch",
        "torchvision",
        "matplotlib",
        "torch._dynamo",
        "torch._inductor",
        "torch.distributed.tensor",
        "sympy",
        "pandas",
    }
    lines = f"""import sys
from vaecli.cli.app import main
for words in {commands}:
    assert main([*words, "-q"]) == 0
    print(">", *sorted({heavy} & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert [line[2:] for line in done.stdout.splitlines() if line.startswith("> ")] == [expected] * len(commands)


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize("argument", ["--show-completion", "--help", "--version"])
def test_a_reader_that_went_away_is_141(tmp_path, argument):
    reading, writing = os.pipe()
    os.close(reading)
    done = from_shell(tmp_path, "bash", argument, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["train", "--latent-dmi", "3"], "--latent-dim"),
        (["train", "--objective", "iwea"], "did you mean iwae?"),
        (["train", "--k", "0"], "--k 0: expected a whole number from 1"),
        (["train", "--latent-dim", "-1"], "--latent-dim -1: expected a whole number from 1"),
        (["train", "--epochs", "x"], "--epochs"),
        (["train", "--hidden", "a,b"], "--hidden a,b: expected whole numbers"),
        (["train", "--binarize", "none"], "leaves the pixels grey, which bernoulli is no distribution over"),
        (["train", "--objective", "iwae", "--kl-weight", "2"], "expected it only with --objective elbo"),
        (["train", "--name", "../out"], "expected the name of a folder"),
        (["train", "--device", "tpu"], "'--device': 'tpu' is not one of 'auto', 'cpu', 'cuda', 'mps'."),
        (["train", "--config", "nowhere.json"], "expected the config.json of a run"),
        (["sample", "--kind", "neither"], "'--kind': 'neither' is not one of 'mean', 'draw', 'both'."),
        (["sample", "--n", "0"], "vaecli: --n 0: expected a number from 1"),
        (["sample", "--n", "100000"], "vaecli: --n 100000: expected a number up to 10,000"),
        (["sample", "--n", "ten"], "vaecli: --n ten: expected a whole number"),
        (["sample", "--n", "2.5"], "vaecli: --n 2.5: expected a whole number"),
        (["sample", "--seed", "9" * 5000], "expected a "),
        (["train", "--lr", "fast"], "vaecli: --lr fast: expected a number"),
        (["sample", "--between", "0"], "--between"),
        (["sample", "--between", "0", "1", "--path", "round"], "'--path': 'round' is not one of 'straight', 'spherical'."),
        (["encode", "--n", "0"], "--n"),
        (["reconstruct", "--split", "valid"], "'--split': 'valid' is not one of 'test', 'train', 'validation'."),
        (["reconstruct", "--digit", "3", "--image", "x.png", "--no-label"], "--no-label with --image"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(vaecli, arguments, words):
    assert words in one_line(vaecli(*arguments), 2)


FIRST = "make a first one in about ten seconds with: vaecli train --limit 5000 --epochs 2"


@pytest.mark.parametrize("command", COMMANDS[2:])
def test_a_run_that_is_not_there_is_one_line_that_says_what_is(vaecli, run_copy, command):
    assert one_line(vaecli(command, "nowhere"), 1) == (
        "vaecli: nowhere: no such run; expected one of small in checkpoints/, or a path to one; train one with: vaecli train"
    )


def test_of_many_runs_the_nearest_are_named_first(vaecli, tmp_path):
    for name in [*(f"mnist-z{size}-elbo" for size in range(2, 20)), "iwae", "other", "third"]:
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
        (tmp_path / "checkpoints" / name / MODEL).touch()
    line = one_line(vaecli("sample", "mnist-z7-elb"), 1)
    assert line.startswith("vaecli: mnist-z7-elb: no such run; expected one of mnist-z7-elbo, mnist-z17-elbo, ")
    assert line.endswith(" and 16 more in checkpoints/, or a path to one; train one with: vaecli train")
    assert line.count(",") == 5
    assert "expected one of iwae, " in one_line(vaecli("sample", "checkpoints/iwea"), 1)


def test_without_any_run_the_line_makes_one(vaecli, tmp_path):
    assert one_line(vaecli("sample"), 1) == f"vaecli: checkpoints/: found no run with a finished epoch; {FIRST}"
    assert one_line(vaecli("sample", "mine"), 1) == f"vaecli: mine: no such run, and checkpoints/ has none yet; {FIRST}"
    assert one_line(vaecli("sample", tmp_path), 1).endswith(f"no checkpoint in that folder, and checkpoints/ has none yet; {FIRST}")


@pytest.mark.parametrize(
    ("folder", "named", "options"),
    [
        ("checkpoints/run", "run", ""),
        ("checkpoints/run", "checkpoints/run", ""),
        ("else where/run", "else where/run", " --out 'else where'"),
    ],
)
def test_a_run_without_a_finished_epoch_says_how_to_go_on(vaecli, tmp_path, folder, named, options):
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / CONFIG).write_text("{}")
    line = one_line(vaecli("sample", named), 1)
    assert line == f"vaecli: {named}: no epoch of this run is finished; go on with: vaecli train --name run --resume{options}"


@pytest.mark.system
def test_a_damaged_checkpoint_is_one_line_through_the_real_command(run_copy, tmp_path):
    file = run_copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    done = subprocess.run(
        [sys.executable, "-m", "vaecli", "sample", "small"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_no_colour_and_no_animation_where_there_is_no_terminal(vaecli, small_mnist):
    outcome = vaecli("train", "--limit", "50", "--epochs", "1", "--data-dir", small_mnist)
    assert outcome.code == 0
    assert "\x1b" not in outcome.out + outcome.err
    assert "\r" not in outcome.err
