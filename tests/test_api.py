"""What a user of Python gets from ``import vaecli``."""

import ast
import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import vaecli
from tests.helpers import ROOT
from vaecli.cli.app import main


@pytest.fixture
def beside_the_baseline(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "checkpoints" / "baseline", tmp_path / "checkpoints" / "baseline")
    monkeypatch.chdir(tmp_path)


def python(lines, folder):
    """What a fresh Python prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", lines], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.usefixtures("own_members")
@pytest.mark.parametrize("name", vaecli.__all__)
def test_the_example_of_every_public_name_holds(name, beside_the_baseline):
    (test,) = [
        test
        for test in doctest.DocTestFinder(recurse=False).find(getattr(vaecli, name), name, globs={"vaecli": vaecli})
        if test.examples
    ]
    failures = []
    assert doctest.DocTestRunner().run(test, out=failures.append).failed == 0, "".join(failures)


def test_every_public_name_is_listed_and_no_other_is_there():
    assert set(vaecli.__all__) <= set(dir(vaecli))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        vaecli.nothing  # noqa: B018


@pytest.mark.system
@pytest.mark.parametrize("use", ["", "; vaecli.Config(latent_dim=3)", "; vaecli.VaecliError", "; dir(vaecli)"])
def test_the_import_and_the_settings_load_nothing_heavy(use, tmp_path):
    heavy = {"torch", "torchvision", "matplotlib", "PIL", "safetensors", "numpy", "typer", "rich"}
    assert python(f"import sys, vaecli{use}; print({heavy} & set(sys.modules))", tmp_path) == "set()\n"


@pytest.mark.system
def test_the_six_lines_of_the_docstring_run(beside_the_baseline, tmp_path):
    lines = [line.strip() for line in vaecli.__doc__.splitlines() if line.startswith("    ")]
    assert len(lines) == 5
    code = "\n".join(lines).replace("limit=1000", "limit=20").replace("k=10)", "k=10, epochs=1, limit=400)")
    printed = python(f"{code}\nprint(run.path, run.config.k, run.log[-1]['epoch'], run.provenance.device)", tmp_path)
    assert printed == "checkpoints/mine 10 1.0 " + printed.split()[-1] + "\n"


@pytest.mark.system
@pytest.mark.parametrize("settings", [{"latent_dim": 3, "objective": "iwae", "k": 2}, {"likelihood": "beta", "labels": "full"}])
def test_training_gives_the_same_bits_from_python_and_from_the_command_line(settings, tmp_path, small_mnist):
    settings = settings | {"epochs": 2, "precision": "fp32", "batch_size": 50}
    python(
        f"import vaecli; vaecli.train(vaecli.Config(**{settings}), 'checkpoints/python', data_dir={str(small_mnist)!r})", tmp_path
    )
    words = [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    line = [sys.executable, "-m", "vaecli", "train", *words, "--data-dir", str(small_mnist), "--name", "shell", "-q"]
    subprocess.run(line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    by_python, by_shell = ((tmp_path / "checkpoints" / name / "model.safetensors").read_bytes() for name in ("python", "shell"))
    assert by_python == by_shell


def test_no_error_of_the_library_names_an_option_of_the_command_line():
    """Settings stand in braces, and lines to type come from command_line.py."""
    option = re.compile(r"--[a-z]|vaecli (train|report|sample|reconstruct|inpaint|compare|latent-plot)\b")
    named = []
    package = ROOT / "vaecli"
    spared = {*(package / "cli").rglob("*"), *(package / "report").rglob("*"), package / "command_line.py"}
    files = set(package.rglob("*.py")) - spared
    assert len(files) > 50
    for file in files:
        for statement in ast.walk(ast.parse(file.read_text())):
            if not isinstance(statement, ast.Raise | ast.Assign | ast.Return):
                continue
            constants = (part for part in ast.walk(statement) if isinstance(part, ast.Constant) and isinstance(part.value, str))
            named += [f"{file.name}: {part.value}" for part in constants if option.search(part.value)]
    assert named == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: vaecli.Config(k=0), "k=0: expected a whole number from 1 to 100,000"),
        (lambda: vaecli.load("nowhere"), "nowhere: no such run; expected one of baseline in checkpoints/, or a path to one; "),
        (lambda: vaecli.load_images("mnist", "valid"), "split=valid: expected train or test"),
        (lambda: vaecli.load_images("mnist", "test", limit=0), "limit=0: expected a whole number from 1"),
        (lambda: vaecli.sample(vaecli.load("baseline").model, labels=(3,)), "labels=3: the model was trained without labels"),
        (lambda: vaecli.sample(vaecli.load("baseline").model, 0), "n=0: expected a whole number from 1"),
        (lambda: vaecli.train(vaecli.Config(), "checkpoints/baseline"), "checkpoints/baseline: found a run there; resume goes on"),
        (lambda: inpaint("middle"), "observed=middle: expected one of top, bottom, left, right"),
        (
            lambda: inpaint(vaecli.load_images("mnist", "test", limit=1).pixels[0] >= 0),
            "observed: expected a boolean tensor of 784",
        ),
    ],
)
def test_a_mistake_is_described_in_the_words_of_python(call, words, beside_the_baseline):
    with pytest.raises(vaecli.VaecliError) as caught:
        call()
    assert str(caught.value).startswith(words)


def inpaint(observed):
    images = vaecli.load_images("mnist", "test", limit=1)
    return vaecli.inpaint(vaecli.load("baseline").model, images, images, observed=observed)


def test_pictures_of_the_command_line_are_those_of_python(beside_the_baseline, tmp_path):
    from vaecli.image_shape import GREY_28
    from vaecli.plotting.grids import Panel, save_panels

    assert main(["sample", "baseline", "--n", "3", "--kind", "mean", "--seed", "4", "--out", "shell.png", "-q"]) == 0
    samples = vaecli.sample(vaecli.load("baseline").model, 3, seed=4)
    save_panels(tmp_path / "python.png", [[Panel("samples from the prior: means", samples.mean, 3, GREY_28)]])
    assert (tmp_path / "shell.png").read_bytes() == (tmp_path / "python.png").read_bytes()


def test_label_is_another_name_of_digit(beside_the_baseline, tmp_path):
    for word in ("digit", "label"):
        line = ["reconstruct", "baseline", f"--{word}", "4", "--n", "2", "--out", f"{word}.png", "-q"]
        assert main(line) == 0
    assert (tmp_path / "digit.png").read_bytes() == (tmp_path / "label.png").read_bytes()


def test_the_package_says_that_it_is_typed():
    assert (Path(vaecli.__file__).parent / "py.typed").is_file()
