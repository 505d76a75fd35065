import json

import pytest
import torch
from PIL import Image

from tests.helpers import one_line, opened
from vaecli.data import load_images
from vaecli.image_shape import GREY_28
from vaecli.plotting.grids import scale_of

SCALE = scale_of(GREY_28)


@pytest.mark.parametrize("command", ["sample", "reconstruct"])
def test_a_picture_goes_to_the_run_or_to_the_folder_given(vaecli, run_copy, small_mnist, tmp_path, command):
    data = ["--data-dir", small_mnist] if command == "reconstruct" else []
    inside = vaecli(command, *data)
    assert inside.path.resolve() == (run_copy / f"{command}.png").resolve()
    assert "Using the newest run, checkpoints/small" in inside.err
    named = vaecli(command, "small", *data, "--out", "some/where.png")
    assert str(named.path) == "some/where.png"
    folder = vaecli(command, run_copy / "model.safetensors", *data, "--out", "some")
    assert str(folder.path) == f"some/{command}.png"
    assert named.path.read_bytes() == folder.path.read_bytes() == inside.path.read_bytes()
    again = vaecli(command, "small", *data, "--out", "some")
    assert "Replacing" in again.err
    printed = json.loads(vaecli(command, "small", *data, "--json", "-q").out)
    assert (printed["command"], printed["runs"]) == (command, [{"name": "small", "path": "checkpoints/small"}])
    assert printed["files"] == [f"checkpoints/small/{command}.png"]


def test_seeds_change_samples(vaecli, run_copy):
    pictures = [vaecli("sample", "--seed", seed, "--out", f"{seed}.png").path.read_bytes() for seed in (0, 1)]
    assert pictures[0] != pictures[1]


@pytest.mark.parametrize(("kind", "blocks"), [("mean", 1), ("draw", 1), ("both", 2)])
def test_kinds_of_samples(vaecli, run_copy, kind, blocks):
    one = opened(vaecli("sample", "--kind", kind, "--n", "3").path)
    cell = 29 * SCALE
    assert 0 < one.height - blocks * cell < 40 * blocks + 20
    greys = set(one.convert("L").get_flattened_data())
    assert len(greys) > 40


def test_the_original_stands_upright_and_unchanged(vaecli, run_copy, small_mnist):
    path = vaecli("reconstruct", "--n", "1", "--data-dir", small_mnist).path
    expected = (load_images("mnist", "test", limit=1).pixels[0] > 127).view(28, 28)
    page = torch.frombuffer(bytearray(opened(path).convert("L").tobytes()), dtype=torch.uint8)
    page = page.view(opened(path).height, -1)
    want = (expected * 255).to(torch.uint8).repeat_interleave(SCALE, 0).repeat_interleave(SCALE, 1)
    rows, columns = page.shape
    size = 28 * SCALE
    assert any(
        torch.equal(page[top : top + size, column : column + size], want)
        for top in range(rows - size)
        for column in range(min(40, columns - size))
    )


def test_only_one_digit(vaecli, run_copy, small_mnist):
    fours = load_images("mnist", "test", limit=200)
    count = int((fours.labels == 4).sum())
    many = opened(vaecli("reconstruct", "--digit", "4", "--n", "1000", "--data-dir", small_mnist).path)
    one = opened(vaecli("reconstruct", "--digit", "4", "--n", "1", "--data-dir", small_mnist).path)
    assert count > 10
    assert many.height > 5 * one.height
    assert "--digit 12: expected 0 to 9" in one_line(vaecli("reconstruct", "small", "--digit", "12"), 2)


def test_a_persons_own_pictures(vaecli, run_copy, tmp_path):
    digit = Image.frombytes("L", (28, 28), load_images("mnist", "test", limit=1).pixels[0].numpy().tobytes())
    digit.resize((280, 280)).save(tmp_path / "a.png")
    digit.resize((140, 140)).save(tmp_path / "b.jpg")
    assert vaecli("reconstruct", "--image", "a.png", "--image", "b.jpg").code == 0
    assert "no such file" in one_line(vaecli("reconstruct", "small", "--image", "c.png"), 1)


def test_a_folder_where_the_picture_should_go(vaecli, run_copy):
    (run_copy / "sample.png").mkdir()
    assert "found a folder" in one_line(vaecli("sample", "small"), 1)
