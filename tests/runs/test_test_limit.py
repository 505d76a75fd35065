"""Runs that are measured on a random part of the images held out after each epoch, and on all of them at the end."""

import json
from dataclasses import replace

import pytest

from tests.helpers import one_line
from vaecli.analysis.comparison import loss_curve
from vaecli.config import Config
from vaecli.data import load_images
from vaecli.data.images import sampled
from vaecli.errors import UsageError
from vaecli.evaluation.importance import evaluate
from vaecli.runs import train as training
from vaecli.runs.find import MODEL
from vaecli.runs.run import load

SMALL = Config(hidden=(5,), epochs=3, measure_every=2, test_limit=30, precision="fp32")


@pytest.mark.parametrize("validation", [None, 100])
def test_the_log_is_of_the_sample_and_the_result_of_all(fit, small_mnist, monkeypatch, validation):
    config = replace(SMALL, validation=validation)
    results, save = [], training.save_epoch
    monkeypatch.setattr(training, "save_epoch", lambda *args: (results.append(args[5]), save(*args)))
    run = fit(config=config)
    images = load_images("mnist", "test", small_mnist) if validation is None else load_images("mnist", "train", small_mnist)[-100:]
    split = "test" if validation is None else "validation"
    of_sample = evaluate(run.model, images[sampled(len(images), 30)])
    of_all = evaluate(run.model, images)
    assert run.log[-1][f"{split}_elbo"] == pytest.approx(float(of_sample.elbo.mean()), rel=1e-6)
    assert run.results[f"{split}_elbo"] == pytest.approx(float(of_all.elbo.mean()), rel=1e-6)
    assert run.results[f"{split}_kl"] == pytest.approx(float(of_all.kl.mean()), rel=1e-6)
    assert abs(float(of_sample.elbo.mean()) - float(of_all.elbo.mean())) > 1e-2
    assert results[0][f"{split}_elbo"] == run.log[0][f"{split}_elbo"] and results[0][f"{split}_images"] == 30
    assert f"{split}_images" not in run.results
    assert run.sha256 == fit("without", replace(config, test_limit=None)).sha256
    expected = f"Measured on 30 of {len(images)} {split} images, drawn by a fixed seed; at the end on all"
    assert run.notes.count(expected) == 1
    assert f"on {len(images)} images" in next(note for note in run.notes if "is done" in note)
    assert loss_curve(run, "a").measured == f"30 {split}"
    assert loss_curve(fit("without", replace(config, test_limit=None), resume=True), "a").measured == split


def test_going_on_measures_the_same_sample(fit):
    whole = fit("whole", replace(SMALL, epochs=4))
    part = fit("part", replace(SMALL, epochs=2))
    again = fit("part", replace(SMALL, epochs=4), resume=True)
    assert (again.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert [row["test_elbo"] for row in again.log] == [row["test_elbo"] for row in whole.log]
    assert part.results["test_elbo"] != part.log[-1]["test_elbo"]
    with pytest.raises(UsageError, match="has 30; leave test_limit out to go on"):
        fit("part", replace(SMALL, epochs=5, test_limit=20), resume=True)


@pytest.mark.parametrize("count", [200, 201])
def test_a_sample_of_all_is_refused(fit, count, tmp_path):
    with pytest.raises(UsageError, match="found 200 test images, expected fewer to draw from them; leave test_limit out"):
        fit(config=replace(SMALL, test_limit=count))
    assert not (tmp_path / "run").exists()


def test_the_command_line_and_a_search(vaecli, small_mnist):
    line = ["--data-dir", small_mnist, "--hidden", "5", "--epochs", "2"]
    assert "--test-limit 999" in one_line(vaecli("train", *line, "--test-limit", "999", "-q"), 2)
    outcome = vaecli("train", *line, "--test-limit", "30")
    assert outcome.err.count("Measured on 30 of 200 test images") == 1
    assert outcome.path.name.endswith("tl30")
    words = ["search", *line, "--validation", "100", "--test-limit", "30", "--latent-dim", "2,3"]
    assert vaecli(*words, "--dry-run", "-q").code == 0
    outcome = vaecli(*words, "--json", "-q")
    assert outcome.code == 0, outcome.err
    best = json.loads(outcome.out)["best"]
    found = load(best["path"])
    assert found.results["validation_elbo"] != found.log[-1]["validation_elbo"]
    assert best["value"] == found.results["validation_elbo"], "a search chooses by all images"
