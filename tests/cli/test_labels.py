"""Labels through the real commands."""

import json

import pytest
from PIL import ImageChops

from tests.helpers import one_line, opened


@pytest.fixture
def conditional(vaecli, small_mnist):
    return vaecli("train", "--data-dir", small_mnist, "--epochs", "2", "--labels", "full", "--name", "with-labels", "-q").path


def test_samples_of_a_conditional_model_have_a_row_for_each_digit(vaecli, conditional):
    every = opened(vaecli("sample", "with-labels", "--n", "4", "--kind", "mean").path)
    three = opened(vaecli("sample", "with-labels", "--n", "4", "--kind", "mean", "--digit", "3", "--out", "three.png").path)
    four = opened(vaecli("sample", "with-labels", "--n", "4", "--kind", "mean", "--digit", "4", "--out", "four.png").path)
    assert every.height > 9 * (three.height - 60)
    assert ImageChops.difference(three, four).getbbox()
    assert "--digit 10: expected 0 to 9" in one_line(vaecli("sample", "with-labels", "--digit", "10", "-q"), 2)


def test_an_unconditional_model_has_no_digit_to_ask_for(vaecli, run_copy):
    line = one_line(vaecli("sample", "small", "--digit", "3"), 2)
    assert "small was trained without labels" in line
    assert "vaecli train --labels full" in line


def test_reconstruction_can_leave_the_label_out(vaecli, conditional, small_mnist):
    pictures = [
        vaecli("reconstruct", "with-labels", "--data-dir", small_mnist, "--out", f"{name}.png", *more).path.read_bytes()
        for name, more in (("with", []), ("without", ["--no-label"]))
    ]
    assert pictures[0] != pictures[1]


def test_a_dry_run_prints_every_layer_with_the_labels_connections(vaecli, tmp_path):
    printed = json.loads(vaecli("train", "--labels", "full", "--latent-dim", "3", "--dry-run", "--json").out)
    layers = {layer["name"]: layer for layer in printed["layers"]}
    assert list(layers) == ["encoder.input", "encoder.output", "decoder.input", "decoder.output"]
    assert (layers["encoder.input"]["labels"], layers["encoder.input"]["label_parameters"]) == (10, 5000)
    assert (layers["decoder.input"]["inputs"], layers["decoder.input"]["parameters"]) == ([3], 13 * 500 + 500)
    # 784-500-6 and 3-500-784, and 10 labels into the first layer of each
    assert printed["parameters"] == 785 * 500 + 501 * 6 + 4 * 500 + 501 * 784 + 2 * 10 * 500
    lines = vaecli("train", "--labels", "full", "--latent-dim", "3", "--dry-run").out.splitlines()
    assert lines[1].split() == ["encoder.input", "Linear", "784", "+", "10", "500", "397,500", "5,000"]
    assert not (tmp_path / "checkpoints").exists()


def test_a_dry_run_counts_what_training_makes(vaecli, trained):
    from vaecli.runs.run import read_run

    printed = json.loads(vaecli("train", "--dry-run", "--json").out)
    assert printed["parameters"] == sum(weight.numel() for weight in read_run(trained).model.parameters())
