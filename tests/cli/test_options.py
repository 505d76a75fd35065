"""Options without effect are refused, and --out is a place for pictures."""

from itertools import combinations

import pytest

from tests.helpers import one_line

VALUES = {
    "sample": {
        "--n": "3", "--kind": "mean", "--digit": "3", "--between": "0 1", "--path": "spherical", "--data-dir": "x", "--seed": "1",
        "--device": "cpu", "--out": "x", "--as": "png",
    },
    "encode": {
        "--n": "3", "--split": "test", "--digit": "3", "--image": "x.png", "--no-label": None, "--data-dir": "x",
        "--device": "cpu", "--out": "x.npz",
    },
    "score": {
        "--by": "L_2", "--against": "mnist", "--limit": "3", "--split": "test", "--digit": "3", "--image": "x.png",
        "--marginal-labels": None, "--data-dir": "x", "--ais-chains": "2", "--device": "cpu", "--out": "x",
    },
    "reconstruct": {
        "--n": "3", "--split": "test", "--digit": "3", "--image": "x.png", "--no-label": None, "--data-dir": "x", "--seed": "1",
        "--device": "cpu", "--out": "x", "--as": "npz",
    },
    "explore": {"--n": "3", "--split": "test", "--data-dir": "x", "--out": "x.html"},
    "latent-plot": {
        "--n": "3", "--split": "test", "--data-dir": "x", "--dimensions": "2", "--view": "1,2", "--variance": None,
        "--manifold": None, "--thumbnails": None, "--digit": "3", "--csv": None, "--device": "cpu", "--out": "x.png",
    },
    "inpaint": {
        "--n": "3", "--split": "test", "--digit": "3", "--image": "x.png", "--data-dir": "x", "--observed": "top",
        "--mask": "x.png", "--draws": "2", "--kind": "draw", "--starts": "2", "--steps": "9", "--ais": None, "--seed": "1",
        "--device": "cpu", "--out": "x.png",
    },
    "compare": {
        "--k": "5", "--limit": "9", "--by": "elbo", "--sort": "kl", "--exact": None, "--proposal": "mixture", "--repeats": "2",
        "--marginal-labels": None, "--table-only": None, "--csv": None, "--n": "3", "--split": "test", "--data-dir": "x",
        "--seed": "1", "--device": "cpu", "--out": "x",
    },
}  # fmt: skip
"""Every option of the commands that read runs, but for --quiet and --json, which always have one."""

REFUSED = {
    "sample": {
        "--between": ["--kind", "--seed"],
        "--path": ["--n", "--kind", "--digit", "--data-dir", "--seed", "--device", "--out", "--as"],
        "--data-dir": ["--n", "--kind", "--digit", "--path", "--seed", "--device", "--out", "--as"],
    },
    "encode": {
        "--image": ["--n", "--split", "--no-label", "--data-dir"],
        "--digit": ["--n", "--split", "--no-label", "--data-dir", "--device", "--out"],
    },
    "score": {
        "--image": ["--limit", "--split", "--data-dir", "--ais-chains"],
        "--digit": ["--by", "--against", "--limit", "--split", "--marginal-labels", "--data-dir", "--device", "--out"],
        "--ais-chains": [
            "--by",
            "--against",
            "--limit",
            "--split",
            "--digit",
            "--marginal-labels",
            "--data-dir",
            "--device",
            "--out",
        ],
    },
    "reconstruct": {"--image": ["--n", "--split", "--no-label", "--data-dir"]},
    "explore": {},
    "latent-plot": {
        "--manifold": ["--n", "--split", "--data-dir", "--dimensions", "--view", "--variance", "--csv"],
        "--variance": ["--dimensions", "--view"],
        "--thumbnails": ["--variance", "--manifold", "--dimensions", "--view"],
        "--digit": [
            "--n",
            "--split",
            "--data-dir",
            "--dimensions",
            "--view",
            "--variance",
            "--thumbnails",
            "--csv",
            "--device",
            "--out",
        ],
    },
    "inpaint": {"--image": ["--n", "--split"], "--mask": ["--observed"]},
    "compare": {"--table-only": ["--n", "--seed", "--out"]},
}
"""The pairs of them of which one has no effect: --digit of latent-plot is of --manifold alone, that of encode of --image."""


@pytest.mark.parametrize("command", VALUES)
def test_of_every_pair_of_options_those_without_effect_are_refused(vaecli, command):
    values = VALUES[command]
    expected = {frozenset((first, second)) for first, others in REFUSED[command].items() for second in others}
    refused = set()
    for pair in combinations(values, 2):
        words = [word for option in pair for word in (option, *(values[option] or "").split())]
        outcome = vaecli(command, "nowhere", *words)
        assert outcome.code in (1, 2)
        if outcome.code == 2:
            refused.add(frozenset(pair))
            assert any(option in outcome.err for option in pair) and len(outcome.err.splitlines()) == 1
        else:
            assert "nowhere: no such run" in outcome.err
    assert {tuple(sorted(pair)) for pair in refused} == {tuple(sorted(pair)) for pair in expected}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["latent-plot", "--manifold", "--csv"], "--csv with --manifold: it has no effect there; leave it out"),
        (["latent-plot", "--digit", "3"], "--digit without --manifold"),
        (["latent-plot", "--label", "3"], "--label without --manifold"),
        (["encode", "--label=3"], "--label without --image"),
        (["sample", "--between", "a.png", "b.png", "--data-dir", "x"], "--data-dir with --between of files"),
        (["reconstruct", "--image", "a.png", "--n", "3"], "--n with --image and no folder"),
        (["compare", "--k", "0", "--repeats", "2"], "--repeats with --k 0"),
        (["compare", "--k", "0", "--proposal", "posterior"], "--proposal with --k 0"),
        (["compare", "--k", "0", "--marginal-labels"], "--marginal-labels with --k 0 and without --exact"),
        (["compare", "--sort", "exact"], "--sort exact without --exact"),
        (["compare", "--sort", "ais"], "--sort ais without --ais: expected a column of the table; add --ais"),
        (["compare", "--ais-chains", "2"], "--ais-chains without --ais"),
        (["compare", "--bdmc"], "--bdmc without --ais"),
        (["compare", "--ais", "--bdmc-images", "9"], "--bdmc-images without --bdmc"),
        (["compare", "--per-image"], "--per-image without --csv and --json"),
        *((["train", "--dry-run", *more], f"{more[0]} with --dry-run") for more in (
            ["--device", "cpu"], ["--out", "x"], ["--name", "y"], ["--resume"], ["--overwrite"], ["--data-dir", "x"]
        )),
        (["report", "--only", "5", "--epochs", "2"], "--epochs with --only 5"),
        (["report", "--only", "5", "--device", "cpu"], "--device with --only 5"),
    ],
)  # fmt: skip
def test_what_has_no_effect_with_these_values_is_refused(vaecli, tmp_path, arguments, words):
    assert words in one_line(vaecli(*arguments), 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["latent-plot", "--view", "1,2"], "--view with no plot in 3-D"),
        (["latent-plot", "--dimensions", "2"], "--dimensions with 3 latents or fewer"),
        (["latent-plot", "--manifold", "--digit", "1"], "--digit with a run without labels"),
        (["reconstruct", "--no-label"], "--no-label with a run without labels"),
        (["reconstruct", "--image", "x.png", "--digit", "1"], "--digit with --image and a run without labels"),
        (["inpaint", "--image", "x.png", "--digit", "1"], "--digit with --image and a run without labels"),
        (["encode", "--image", "x.png", "--digit", "1"], "--digit with a run without labels"),
        (["sample", "--label", "1"], "--label 1: small was trained without labels"),
        (["sample", "--digit", "1"], "--digit 1: small was trained without labels"),
        (["encode", "--no-label"], "--no-label with a run without labels"),
    ],
)
def test_what_has_no_effect_on_this_run_is_refused(vaecli, run_copy, arguments, words):
    command, *rest = arguments
    assert words in one_line(vaecli(command, "small", *rest), 2)


def test_the_csv_of_a_table_goes_to_the_folder_that_was_asked_for(vaecli, run_copy, small_mnist):
    more = ["--table-only", "--csv", "--out", "tables", "--limit", "9", "--k", "0", "--data-dir", small_mnist]
    assert vaecli("compare", "small", *more).out.splitlines()[-1] == "tables/compare.csv"


@pytest.mark.parametrize("command", ["sample", "reconstruct", "encode", "latent-plot", "inpaint", "compare", "report", "train"])
def test_a_picture_does_not_go_to_stdout(vaecli, tmp_path, command):
    line = one_line(vaecli(command, "--out", "-"), 2)
    assert line.startswith("vaecli: --out -: ") and "stdout; expected a folder" in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["sample", "reconstruct", "latent-plot", "inpaint"])
def test_a_picture_of_an_unknown_format_is_refused(vaecli, tmp_path, command):
    assert "--out x.jpg: expected a folder, or a file that ends in .png, .pdf or .svg" in one_line(
        vaecli(command, "--out", "x.jpg"), 2
    )
    assert not list(tmp_path.iterdir())


def test_latents_of_an_unknown_format_are_refused(vaecli, tmp_path):
    assert "--out x.txt: expected a folder, or a file that ends in .npz, .csv or .safetensors" in one_line(
        vaecli("encode", "--out", "x.txt"), 2
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["compare", "report"])
def test_several_pictures_go_to_a_folder(vaecli, tmp_path, command):
    assert "--out x.pdf: expected a folder" in one_line(vaecli(command, "--out", "x.pdf"), 2)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_dot_in_its_name_is_one(vaecli, run_copy, tmp_path):
    (tmp_path / "v1.2").mkdir()
    assert str(vaecli("sample", "small", "--out", "v1.2").path) == "v1.2/sample.png"
