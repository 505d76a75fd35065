"""Runs that begin with the weights of another run."""

import shutil
from dataclasses import replace

import pytest
import torch

from tests.helpers import DATA, ROOT
from tests.parallel.torchrun import ran
from vaecli.config import Config
from vaecli.errors import CheckpointError, UsageError
from vaecli.runs import train as training
from vaecli.runs.find import CONFIG, MODEL, read_config
from vaecli.runs.origin import begin_with
from vaecli.runs.reuse import is_run_of
from vaecli.runs.run import load, read_run
from vaecli.runs.train import train

PICTURES = DATA / "emoji" / "pictures"
KINDS = sorted(folder.name for folder in PICTURES.iterdir() if folder.is_dir())
SMALL = Config(hidden=(20,), batch_size=50, epochs=2, precision="fp32")


@pytest.fixture(scope="module")
def first(tmp_path_factory, small_mnist):
    """A run of labelled digits."""
    return train(replace(SMALL, labels="full"), tmp_path_factory.mktemp("first") / "first", data_dir=small_mnist)


@pytest.fixture
def begun(tmp_path, small_mnist, first):
    def run(name="begun", **changes):
        options = {name: changes.pop(name) for name in ("resume", "overwrite") if name in changes}
        of = changes.pop("of", first)
        return train(replace(first.config, **changes), tmp_path / name, data_dir=small_mnist, init=of, **options)

    return run


@pytest.mark.parametrize("init_bias", ["random", "data"])
def test_it_begins_where_the_other_run_ended(begun, first, small_mnist, tmp_path, init_bias):
    """With steps too small to change a float32 of ordinary size, the held-out ELBO is the other run's."""
    far = train(replace(first.config, init_bias="random"), tmp_path / "far", data_dir=small_mnist)
    run = begun(lr=1e-12, epochs=1, of=far, init_bias=init_bias)
    assert run.results["test_elbo"] == pytest.approx(far.results["test_elbo"], abs=1e-3)
    assert run.results["elbo"] != pytest.approx(far.results["elbo"], abs=1)  # that run's was measured as the weights changed
    origin = run.provenance.started_from
    assert (origin.file, origin.sha256, origin.epochs) == (str((far.path / MODEL).resolve()), far.sha256, 2)
    assert origin == read_config(run.path / CONFIG)[1].started_from == load(run.path).provenance.started_from
    assert run.notes[0] == f"Begin with the weights of {far.path.resolve()}, after 2 epochs"


def test_a_run_a_folder_and_a_file_are_the_same(begun, first):
    runs = [begun(str(number), of=other) for number, other in enumerate((first, first.path, str(first.path / MODEL)))]
    assert len({run.sha256 for run in runs}) == 1
    assert runs[0].sha256 != first.sha256
    assert len({(run.path / MODEL).read_bytes() for run in runs}) == 1


def test_weights_of_a_model_changed_in_python_are_those_that_count(begun, first):
    run = read_run(first.path)
    with torch.no_grad():
        for weight in run.model.parameters():
            weight.mul_(0.5)
    changed, unchanged = begun("changed", of=run, lr=1e-12, epochs=1), begun("unchanged", lr=1e-12, epochs=1)
    assert changed.provenance.started_from.sha256 != first.sha256
    assert abs(changed.results["test_elbo"] - unchanged.results["test_elbo"]) > 1
    with torch.no_grad():
        next(run.model.parameters())[0, 0] = float("nan")
    with pytest.raises(UsageError, match="holds values that are no finite numbers"):
        begun("nan", of=run)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"latent_dim": 3}, "init=first: its weights need latent_dim=2, found latent_dim=3"),
        ({"hidden": (10,)}, "need hidden=20, found hidden=10"),
        ({"hidden": None, "arch": "conv", "latent_dim": 5}, "need latent_dim=2 arch=mlp, found latent_dim=5 arch=conv"),
        ({"likelihood": "continuous-bernoulli", "binarize": "none"}, "need likelihood=bernoulli, found likelihood=continuous"),
        ({"labels": "none"}, "need labels=full, found labels=none"),
        ({"image_size": 32}, "need image_size=28, found image_size=32"),
        ({"init": "glorot"}, "init=glorot with init=first: it has no effect"),
        ({"init_bias": "random"}, "init_bias=random with init=first: it has no effect"),
    ],
)
def test_settings_that_the_weights_do_not_fit_are_named(begun, tmp_path, changes, words):
    with pytest.raises(UsageError) as caught:
        begun(**changes)
    assert words in str(caught.value)
    assert not (tmp_path / "begun").exists()


def test_the_labels_have_to_be_as_many_and_are_matched_by_order(tmp_path):
    def pictures(name, kinds):
        for kind in kinds:
            shutil.copytree(PICTURES / KINDS[0], tmp_path / name / kind)
        return tmp_path / name

    config = Config(dataset="folder", image_size=8, hidden=(4,), labels="full", epochs=1)
    two = train(config, tmp_path / "two", data_dir=pictures("animals", ["cats", "dogs"]))
    again = train(config, tmp_path / "again", data_dir=pictures("fruit", ["apples", "pears"]), init=two)
    assert sum(note.endswith("; its labels are cats, dogs, now apples, pears: matched by their order") for note in again.notes) == 1
    assert again.class_names == ("apples", "pears")
    with pytest.raises(UsageError, match="init=two: its model sees 2 labels, and the images have 3; expected as many"):
        train(config, tmp_path / "three", data_dir=pictures("more", ["a", "b", "c"]), init=two)


def test_it_goes_on_without_the_other_run_once_an_epoch_is_finished(begun, first, tmp_path):
    other = shutil.copytree(first.path, tmp_path / "other")
    whole = begun("whole", of=other, epochs=3)
    part = begun("part", of=other, epochs=2)
    shutil.rmtree(other)
    on = train(replace(part.config, epochs=3), part.path, resume=True)
    assert (on.path / MODEL).read_bytes() == (whole.path / MODEL).read_bytes()
    assert on.provenance.started_from.sha256 == first.sha256


def test_the_same_call_may_be_made_again_and_another_run_is_refused(begun, first, tmp_path):
    other = shutil.copytree(first.path, tmp_path / "other")
    run = begun(of=other)
    assert begun(of=other, resume=True).sha256 == run.sha256
    assert begun(of=first, resume=True).sha256 == run.sha256  # of equal weights
    train(replace(first.config, epochs=3), other, resume=True)
    assert any("are no longer in the run named" in note for note in begun(of=other, resume=True).notes)
    moved = other.rename(tmp_path / "moved")
    with pytest.raises(UsageError, match=r"began with those of .*/other, of SHA-256 .* leave init out to go on"):
        begun(of=moved, resume=True)
    plain = train(first.config, tmp_path / "plain", data_dir=first.provenance.data.folder)
    with pytest.raises(UsageError, match="plain began with weights of its own"):
        begun("plain", of=first, resume=True)
    assert read_run(plain.path).sha256 == plain.sha256


class TestBeforeTheFirstEpoch:
    @pytest.fixture
    def stopped(self, begun, first, tmp_path):
        """A run that was stopped in its first epoch, and the folder of the run that it began with."""
        other = shutil.copytree(first.path, tmp_path / "other")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "fit", stop)
            with pytest.raises(Stopped):
                begun(of=other)
        folder = tmp_path / "begun"
        assert [file.name for file in folder.iterdir()] == [CONFIG]
        return folder, other

    def test_it_starts_from_the_same_weights_again(self, stopped, begun, first):
        folder, other = stopped
        run = train(first.config, folder, resume=True)
        assert (run.path / MODEL).read_bytes() == (begun("whole", of=other).path / MODEL).read_bytes()

    def test_it_starts_whatever_the_start_was_by_default_then(self, stopped):
        """A run of a version whose default was random goes on."""
        folder, _ = stopped
        written = (folder / CONFIG).read_text()
        assert '"init_bias": "data"' in written
        (folder / CONFIG).write_text(written.replace('"init_bias": "data"', '"init_bias": "random"'))
        config = Config(**read_config(folder / CONFIG)[0])
        assert train(config, folder, resume=True).config.init_bias == "random"

    def test_it_says_when_they_have_changed(self, stopped, first):
        folder, other = stopped
        train(replace(first.config, epochs=3), other, resume=True)
        with pytest.raises(CheckpointError, match="weights have changed since the run began with them: they have SHA-256"):
            train(first.config, folder, resume=True)
        with pytest.raises(UsageError, match="began with those of"):
            train(first.config, folder, resume=True, init=other)

    def test_it_says_when_they_are_gone(self, stopped, first):
        folder, other = stopped
        shutil.rmtree(other)
        with pytest.raises(
            CheckpointError, match=r"the weights that the run begins with: .*other/model.safetensors: cannot be read"
        ):
            train(first.config, folder, resume=True)


class Stopped(Exception):
    pass


def stop(*_):
    raise Stopped


def test_a_search_does_not_take_it_for_a_run_of_the_same_settings(begun, first, tmp_path):
    run = begun(seed=1)
    plain = train(run.config, tmp_path / "plain", data_dir=run.provenance.data.folder)
    for folder, reused in ((plain.path, True), (run.path, False)):
        assert is_run_of(folder, run.config, lambda config, data: True) is reused


def test_few_steps_are_not_held_against_it(begun, first):
    assert "few_steps" in first.warnings
    assert "few_steps" not in begun().warnings


def test_a_run_of_the_first_format_can_be_begun_with(tmp_path):
    """It has no provenance."""
    old = load(DATA / "format-1")
    assert begin_with(old).origin.sha256 == old.sha256


@pytest.mark.system
def test_processes_get_the_weights_from_the_first(tmp_path, small_mnist, first):
    alone = train(replace(first.config, epochs=1), tmp_path / "alone", data_dir=small_mnist, init=first)
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, vaecli\nfrom dataclasses import replace\n"
        "first = sys.argv[1] if sys.argv[4] == 'path' else vaecli.load(sys.argv[1])\n"
        "config = replace(vaecli.load(sys.argv[1]).config, epochs=1)\n"
        "vaecli.train(config, sys.argv[3], data_dir=sys.argv[2], init=first, on_epoch=lambda row: print('row', row['epoch']))\n"
    )
    for kind in ("path", "run"):
        done = ran(tmp_path, "--nproc-per-node", "2", script, first.path, small_mnist, tmp_path / kind, kind, PYTHONPATH=ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "row 1.0\n"
        run = read_run(tmp_path / kind)
        assert run.provenance.started_from == alone.provenance.started_from
        for mine, its in zip(run.model.parameters(), alone.model.parameters(), strict=True):
            torch.testing.assert_close(mine, its, atol=1e-5, rtol=1e-4)
