"""Members that others bring: what is registered, what is refused, and what a run says of them."""

import json
import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import vaecli as library
from tests.helpers import one_line, refused
from vaecli import plugins, registry
from vaecli.analysis.architecture import architecture
from vaecli.config import Config
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.errors import UsageError
from vaecli.explorer.payload import payload
from vaecli.model import build
from vaecli.objectives.base import Bound
from vaecli.provenance import MemberRecord, Provenance
from vaecli.training.loop import fit, make_optimizer

pytestmark = pytest.mark.usefixtures("own_members")

OBJECTIVE = """
import vaecli
from vaecli.objectives.base import Bound

{extra}
WARM = vaecli.Option("warm", "Weight of the KL divergence.", 0, 10)
KIND = vaecli.Option("kind_of_weight", "How it is weighted.", choices=("all", "half"))


@vaecli.register("objective", "{name}", "a weighted ELBO", options={{WARM: {warm}, KIND: "all"}})
class Warm:
    draws = 1

    def __init__(self, warm, kind_of_weight):
        self.warm = warm

    def __call__(self, model, x, y, eps):
        w = model.log_weights(x, y, eps)
        return Bound.of(w.reconstruction - self.warm * w.kl, w)
"""


def written(folder, name="warm", warm=0.5, extra="", file="warm.py"):
    (folder / file).write_text(OBJECTIVE.format(name=name, warm=warm, extra=extra))
    return folder / file


def test_a_member_of_a_file_is_a_choice_like_others(vaecli, tmp_path, small_mnist):
    file = written(tmp_path)
    helped = " ".join(vaecli("train", "--plugin", file, "--help-all").out.split())
    assert all(words in helped for words in ("--warm", "0.5 with warm", "warm a weighted ELBO", "--kind-of-weight all|half"))
    small = ["--data-dir", small_mnist, "--epochs", 1, "--name", "mine"]
    assert vaecli("train", f"--plugin={file}", "--objective", "warm", "--warm", 0.25, *small).code == 0
    written_down = json.loads((tmp_path / "checkpoints" / "mine" / "config.json").read_text())
    assert (written_down["objective"], written_down["warm"], written_down["kind_of_weight"]) == ("warm", 0.25, "all")
    (record,) = written_down["provenance"]["members"]
    assert (record["family"], record["name"], record["source"]) == ("objective", "warm", str(file))
    assert record["options"] == ["warm", "kind_of_weight"]
    again = vaecli("train", "--plugin", file, "--config", "checkpoints/mine/config.json", "--name", "again")
    assert again.code == 0
    runs = library.load("mine"), library.load("again")
    assert all(torch.equal(a, b) for a, b in zip(*(run.model.state_dict().values() for run in runs), strict=True))
    found = vaecli("search", "--plugin", file, "--objective", "warm", "--warm", "0.1,0.9", *small[:4], "--validation", 100)
    assert found.code == 0, found.err
    assert "warm" in found.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objective", "wram"], "did you mean warm?"),
        (["--objective", "warm", "--warm", "11"], "--warm 11: expected a number from 0 to 10"),
        (["--objective", "warm", "--warm", "x"], "--warm x: expected a number"),
        (["--objective", "warm", "--kind-of-weight", "hlaf"], "did you mean half?"),
        (["--warm", "1"], "--warm 1 with --objective elbo: elbo has no such option, expected it only with --objective warm"),
    ],
)
def test_wrong_values_of_its_options_are_refused_as_others(vaecli, tmp_path, arguments, words):
    assert words in refused(vaecli("train", "--plugin", written(tmp_path), *arguments), 2)


def test_its_options_are_arguments_and_attributes_of_the_settings(tmp_path):
    library.load_plugin(written(tmp_path))
    config = Config(objective="warm", warm=2)
    assert (config.warm, config.kind_of_weight, Config().warm) == (2.0, "all", None)
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert {config, Config(objective="warm", warm=2), Config(objective="warm")} == {config, Config(objective="warm")}
    assert config.run_name == "mnist-z2-warm-warm2"
    with pytest.raises(UsageError, match=r"the setting 'wram': .* did you mean warm\?"):
        Config(objective="warm", wram=2)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("import vaecli\n\nvaecli.nothing", "line 3: AttributeError: module 'vaecli' has no attribute 'nothing'"),
        ("x = (", "line 1: "),
        ("1/0", "line 1: ZeroDivisionError: division by zero"),
        ("raise ValueError('{latent_dim}')", "line 1: ValueError: (latent_dim)"),
        (
            "import vaecli\nvaecli.register('prior', 'normal', 'x', path='a:b')",
            "line 2: name=normal: there is a member of this name in prior, of vaecli",
        ),
        ("import vaecli\nvaecli.register('prior', 'Two Words', 'x')", "expected lower-case words"),
        ("import vaecli\nvaecli.register('priors', 'x', 'x')", "did you mean prior?"),
        ("import vaecli\nvaecli.register('likelihood', 'x', 'x')", "found none, expected the pixels that the likelihood is of"),
        (
            "import vaecli\nvaecli.register('prior', 'x', 'x', options={vaecli.Option('epochs', 'E.', 0, 1): 1})",
            "vaecli has an option",
        ),
        (
            "import vaecli\nvaecli.register('prior', 'x', 'x', options={vaecli.Option('out', 'E.', 0, 1): 1})",
            "vaecli has an option",
        ),
        (
            "import vaecli\nvaecli.register('prior', 'x', 'x', options={vaecli.Option('to_json', 'J.', 0, 1): 1})",
            "vaecli has an option",
        ),
        (
            "import vaecli.registry as r\nvaecli.register('prior', 'x', 'x', options={r.K: 1})",
            "option=k of the prior x: vaecli has",
        ),
        (
            "import vaecli\nvaecli.register('prior', 'x', 'x', options={vaecli.Option('b', 'B.', 1, 1): 1})",
            "the bounds `low` and `high`",
        ),
        ("import vaecli\nvaecli.register('prior', 'x', 'x', options={vaecli.Option('b', 'B.', 0, 1): None})", "the default None"),
        ("import vaecli\nvaecli.register('prior', 'x', 'x', options={vaecli.Option('b', 'B.'): 'y'})", "expected `choices`"),
    ],
)
def test_a_file_that_fails_is_refused_in_one_line_and_leaves_nothing(vaecli, tmp_path, content, words):
    before = plugins.known()
    (tmp_path / "mine.py").write_text(f"import vaecli; vaecli.register('prior', 'before', 'x', path='a:b')\n{content}")
    line = refused(vaecli("sample", "--plugin", "mine.py"), 2)
    expected = words.replace("line 3", "line 4").replace("line 2", "line 3").replace("line 1", "line 2")
    assert line.startswith("vaecli: --plugin mine.py: ") and expected in line
    assert plugins.known() == before


@pytest.mark.parametrize(
    ("file", "words"),
    [("nowhere.py", "found no such file"), (".", "found a folder"), ("notes.txt", "found another file")],
)
def test_what_is_no_python_file_is_refused(vaecli, tmp_path, file, words):
    (tmp_path / "notes.txt").write_text("x")
    assert f"--plugin {file}: {words}, expected a Python file" in refused(vaecli("train", "--plugin", file), 2)


def test_a_file_that_changed_is_read_again_and_two_files_with_one_name_are_refused(tmp_path):
    library.load_plugin(written(tmp_path, warm=0.5))
    assert Config(objective="warm").warm == 0.5
    library.load_plugin(written(tmp_path, warm=0.75))
    assert Config(objective="warm").warm == 0.75
    with pytest.raises(UsageError, match=r"of .*warm\.py; expected another"):
        library.load_plugin(written(tmp_path, file="other.py"))


def test_a_run_without_its_objective_samples_and_says_what_is_missing_when_it_is_needed(vaecli, tmp_path, small_mnist):
    file = written(tmp_path)
    small = ["--data-dir", small_mnist, "--epochs", 1, "--name", "mine"]
    assert vaecli("train", "--plugin", file, "--objective", "warm", *small).code == 0
    del registry.REGISTRY["objective"]["warm"]
    assert vaecli("sample", "mine").code == 0
    assert vaecli("compare", "mine", "--n", 5, "--k", 2, "--limit", 20).code == 0
    line = refused(vaecli("train", "--name", "mine", "--resume", "--epochs", 2), 2)
    assert f"found no objective warm, which the run was trained with; load the file that brings it with --plugin {file}" in line
    config = library.load("mine").config
    assert (config.objective, config.warm) == ("warm", 0.5)
    assert config.to_json()["warm"] == 0.5


def test_an_objective_of_ones_own_may_couple_images_and_raise_its_weight_of_kl(digits):
    seen = []

    @library.register("objective", "spread", "codes apart", options={registry.KL_WEIGHT: 2.0, registry.KL_WARMUP: 2.0})
    class Spread:
        draws, couples = 1, True

        def __init__(self, kl_weight, kl_warmup):
            self.kl_weight = kl_weight

        def __call__(self, model, x, y, eps, batch):
            w = model.log_weights(x, y, eps)
            rows = batch.gather(w.z[0])
            seen.append((batch.images, len(rows), rows.requires_grad, float(self.kl_weight)))
            return Bound.of(w.reconstruction - self.kl_weight * w.kl, w)

    config = Config(objective="spread", epochs=2, batch_size=300)
    model = build(config)
    assert len(list(fit(model, make_optimizer(model, config), digits, config))) == 2
    assert seen == [(600, 300, True, weight) for weight in (0, 0.5, 1, 1.5)]


WRONG = """
import torch, vaecli
from vaecli.objectives.base import Bound
from vaecli.priors.normal import StandardNormal

@vaecli.register("objective", "wrong", "of another shape")
class Wrong:
    draws = 1
    def __call__(self, model, x, y, eps):
        w = model.log_weights(x, y, eps)
        return {value}

"""


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("w.log_w", "--objective wrong: it gives a tensor of torch.float32, shape (1, 100), expected a Bound"),
        (
            "Bound.of(w.log_w, w)",
            "--objective wrong: its value is a tensor of torch.float32, shape (1, 100), expected one number per image",
        ),
        ("Bound.of(w.reconstruction.mean(), w)", "its value is a tensor of torch.float32, shape (), expected one number per image"),
        ("Bound.of(w.reconstruction * float('nan'), w)", "the loss is nan before any step"),
    ],
)
def test_an_objective_of_another_shape_is_refused_in_one_line(vaecli, tmp_path, small_mnist, value, words):
    (tmp_path / "wrong.py").write_text(WRONG.format(value=value))
    small = ["--data-dir", small_mnist, "--epochs", 1, "--batch-size", 100, "-q"]
    assert words in refused(vaecli("train", "--plugin", "wrong.py", "--objective", "wrong", *small), 1 if "nan" in value else 2)


PARTS = """
import torch, vaecli
from torch import nn
from torch.distributions import Independent, Normal
from vaecli.distributions.normal import DiagonalNormal
from vaecli.posteriors.base import Posterior
from vaecli.priors.base import Prior


@vaecli.register("prior", "own", "a prior")
class Own(Prior):
    def forward(self):
        return {prior}

    def sample(self, count, generator=None):
        return {sample}


@vaecli.register("posterior", "own", "a posterior")
class OwnPosterior(Posterior):
    def __init__(self, latent_dim):
        super().__init__(latent_dim, latent_dim)

    def forward(self, h, y=None):
        return {posterior}


@vaecli.register("arch", "own", "networks")
class Networks:
    def encoder(self, shape, labels, outputs):
        return {encoder}

    def decoder(self, shape, latent_dim, labels, outputs):
        return {decoder}


class Ignoring(nn.Sequential):
    def forward(self, x, y=None):
        return super().forward(x)
"""

GOOD = {
    "prior": "Independent(Normal(torch.zeros(self.latent_dim), 1.0), 1)",
    "sample": "torch.randn(count, self.latent_dim, generator=generator)",
    "posterior": "DiagonalNormal(h, torch.zeros_like(h))",
    "encoder": "Ignoring(nn.Linear(shape.size, outputs))",
    "decoder": "Ignoring(nn.Linear(latent_dim, outputs * shape.size), nn.Unflatten(-1, (outputs, shape.size)))",
}


def test_parts_of_ones_own_go_together(vaecli, tmp_path, small_mnist):
    (tmp_path / "own.py").write_text(PARTS.format(**GOOD))
    small = ["--data-dir", small_mnist, "--epochs", 1, "--prior", "own", "--posterior", "own", "--arch", "own"]
    trained = vaecli("train", "--plugin", "own.py", *small)
    assert (trained.code, "random" in trained.path.name) == (0, False)
    assert "The decoder has no last layer called output whose bias can be set, so it begins" in trained.err
    line = one_line(vaecli("train", "--plugin", "own.py", *small, "--init-bias", "data", "-q"), 2)
    assert "--init-bias data with --arch own: its decoder has no last layer called output" in line


@pytest.mark.parametrize(
    ("part", "code", "words"),
    [
        ("prior", "None", "the prior own: log_prob: it fails on 2 made inputs (AttributeError: 'NoneType' object has no"),
        ("prior", "Normal(torch.zeros(self.latent_dim), 1.0)", "the prior own: log_prob: found shape (2, 2), expected shape (2,)"),
        ("prior", "undefined", "the prior own: it fails on 2 made inputs (NameError: name 'undefined' is not defined)"),
        ("sample", "super().sample(count, generator)", "the prior own: sample: found no such method"),
        ("sample", "torch.zeros(count)", "the prior own: sample: found shape (2,), expected shape (2, 2), the latents"),
        ("posterior", "Normal(h, 1.0)", "the posterior own: transform: it fails on 2 made inputs (AttributeError"),
        ("posterior", "DiagonalNormal(h[:, :1], h[:, :1])", "the posterior own: mean: found shape (2, 1), expected shape (2, 2)"),
        ("encoder", "Ignoring(nn.Linear(shape.size, 3))", "for 2 images of 784 values: found shape (2, 3), expected shape (2, 2)"),
        ("encoder", "nn.Linear(shape.size, outputs)", "encoder for 2 images of 784 values: it fails on 2 made inputs (TypeError"),
        ("decoder", "Ignoring(nn.Linear(latent_dim, shape.size))", "found shape (2, 784), expected shape (2, 1, 784), 1 for each"),
    ],
)  # fmt: skip
def test_a_part_that_lacks_something_is_refused_in_one_line_before_training(vaecli, tmp_path, small_mnist, part, code, words):
    (tmp_path / "own.py").write_text(PARTS.format(**GOOD | {part: code}))
    small = ["--data-dir", small_mnist, "--epochs", 1, "--prior", "own", "--posterior", "own", "--arch", "own", "-q"]
    assert words in refused(vaecli("train", "--plugin", "own.py", *small), 2)
    assert not list((tmp_path / "checkpoints").glob("*/*"))


def test_a_density_of_each_latent_is_refused_wherever_it_is_used():
    model = build(Config(latent_dim=1, hidden=(3,)))
    model.prior.forward = lambda: torch.distributions.Normal(torch.zeros(1), 1.0)
    x = torch.zeros(4, 784)
    with pytest.raises(UsageError, match=r"the prior gives log densities of shape \(5, 4, 1\), expected \(5, 4\)"):
        _ = model.log_weights(x, None, torch.zeros(5, 4, 1)).log_w


def test_the_arguments_of_a_member_are_its_options(vaecli, tmp_path):
    (tmp_path / "own.py").write_text(
        PARTS.format(**GOOD).replace("def __init__(self, latent_dim):", "def __init__(self, latent_dim, rank):")
    )
    line = refused(vaecli("train", "--plugin", "own.py", "--posterior", "own"), 2)
    assert "--posterior own: it cannot be made with latent_dim (missing a required argument: 'rank')" in line


def test_a_file_that_exits_or_prints_disturbs_nothing(vaecli, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text("print('hello')\nimport sys; sys.exit(3)")
    assert "--plugin own.py: line 2: SystemExit: 3" in vaecli("train", "--plugin", "own.py").err
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "own.py").write_text("print('hello')")
    told = vaecli("train", "--plugin", "~/own.py", "--dry-run", "--json")
    assert json.loads(told.out)["parameters"] > 0


def test_a_run_whose_member_lost_an_option_is_refused(vaecli, tmp_path, small_mnist):
    small = ["--data-dir", small_mnist, "--epochs", 1, "--name", "mine"]
    assert vaecli("train", "--plugin", written(tmp_path), "--objective", "warm", "--warm", 0.3, *small).code == 0
    renamed = written(tmp_path)
    renamed.write_text(renamed.read_text().replace('Option("warm"', 'Option("heat"'))
    assert "the setting 'warm'" in refused(vaecli("sample", "mine", "--plugin", renamed), 1)


def test_an_unknown_option_that_is_no_misspelling_names_the_plugin(vaecli):
    hint = "an option of a member of your own needs --plugin FILE.py"
    assert hint in refused(vaecli("train", "--prior-b", 3), 2)
    assert hint not in refused(vaecli("train", "--latnet-dim", 3), 2)
    assert hint not in refused(vaecli("sample", "--prior-b", 3), 2)


def test_a_run_says_that_its_member_changed(vaecli, tmp_path, small_mnist):
    small = ["--data-dir", small_mnist, "--epochs", 1, "--name", "mine"]
    trained = vaecli("train", "--plugin", written(tmp_path), "--objective", "warm", *small)
    assert trained.code == 0, trained.err
    said = vaecli("sample", "mine", "--plugin", written(tmp_path, extra="# changed"))
    assert said.code == 0
    assert "was trained with another version of the objective warm" in said.err


RECORD = {"family": "prior", "name": "laplace", "source": "/x/laplace.py", "sha256": "0" * 64, "options": ["scale"]}
PROVENANCE = {
    "data": {"train": "0" * 64, "test": "0" * 64, "folder": None}, "device": "cpu", "precision": "fp32", "threads": 1, "torch": "2",
}  # fmt: skip


def test_the_record_of_a_member_is_written_and_read():
    made = Provenance.from_json(PROVENANCE | {"members": [RECORD]})
    assert made.members == (MemberRecord("prior", "laplace", "/x/laplace.py", "0" * 64, ("scale",)),)
    assert made.to_json() == PROVENANCE | {"members": [RECORD]}
    assert "members" not in Provenance.from_json(PROVENANCE).to_json()


@pytest.mark.parametrize(
    "record",
    [
        5, {}, RECORD | {"name": 5}, RECORD | {"name": "a b"}, RECORD | {"name": "x" * 61}, RECORD | {"source": "a\0b"},
        RECORD | {"source": "x" * 5000}, RECORD | {"sha256": "xyz"}, RECORD | {"sha256": 0}, RECORD | {"options": "scale"},
        RECORD | {"options": ["../x"]}, RECORD | {"options": ["x"] * 100}, RECORD | {"more": 1}, RECORD | {"family": None},
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused(record):
    with pytest.raises(library.VaecliError, match="is not one that vaecli wrote"):
        Provenance.from_json(PROVENANCE | {"members": [record]})
    with pytest.raises(library.VaecliError, match="is not one that vaecli wrote"):
        Provenance.from_json(PROVENANCE | {"members": [RECORD] * 100})


LAPLACE = Config().to_json() | {"prior": "laplace", "scale": 2.0}


def test_settings_name_members_that_are_not_loaded():
    record = MemberRecord("prior", "laplace", "/x/laplace.py", "0" * 64, ("scale",))
    config = Config.from_json(LAPLACE, (record,))
    assert (config.prior, config.scale, hash(config) == hash(Config.from_json(LAPLACE, (record,)))) == ("laplace", 2.0, True)
    assert Config.from_json(config.to_json(), (record,)) == config
    assert config.members == (record,)
    with pytest.raises(UsageError, match="found no prior laplace, which the run was trained with"):
        build(config)


@pytest.mark.parametrize(
    ("settings", "record", "words"),
    [
        (LAPLACE, {"family": "nowhere"}, "the family nowhere: expected one of dataset"),
        (LAPLACE | {"to_json": 5}, {"options": ("scale", "to_json")}, "which is no setting"),
        (LAPLACE | {"scale": {"a": 1}}, {}, "scale: found a dict, expected a number, a word or whole numbers"),
        (LAPLACE | {"scale": [[1]]}, {}, "expected a number, a word or whole numbers"),
        (LAPLACE | {"scale": "x" * 1000}, {}, "expected a number, a word or whole numbers"),
        (LAPLACE | {"scale": [0] * 1000}, {}, "expected a number, a word or whole numbers"),
        (LAPLACE | {"other": 1}, {}, "the setting 'other'"),
        (LAPLACE, {"name": "gauss"}, "expected one of normal"),
        (LAPLACE, {"family": "posterior"}, "expected one of normal"),
    ],
)
def test_what_a_file_says_of_absent_members_is_checked(settings, record, words):
    known = {"family": "prior", "name": "laplace", "source": "/x/laplace.py", "sha256": "0" * 64, "options": ("scale",)}
    with pytest.raises(UsageError, match=words):
        Config.from_json(settings, (MemberRecord(**known | record),))


def process(folder, *arguments, **environment):
    line = [sys.executable, "-m", "vaecli", *map(str, arguments)]
    return subprocess.run(line, cwd=folder, env=os.environ | environment, text=True, capture_output=True, check=False)


@pytest.mark.system
def test_a_run_opens_in_another_process_with_its_file_and_no_checkpoint_makes_code_run(tmp_path, small_mnist):
    marker = tmp_path / "it-ran"
    file = tmp_path / "laplace.py"
    file.write_text(
        "import torch, vaecli\nfrom vaecli.priors.normal import StandardNormal\n"
        f"open({str(marker)!r}, 'w').close()\n"
        "vaecli.register('prior', 'mine', 'N(0, I) again')(type('Mine', (StandardNormal,), {}))\n"
    )
    small = ["--data-dir", small_mnist, "--epochs", 1, "--name", "mine", "-q"]
    assert process(tmp_path, "train", "--plugin", "laplace.py", "--prior", "mine", *small).returncode == 0
    marker.unlink()
    for arguments in (["sample", "mine"], ["train", "--name", "mine", "--resume"], ["explore", "mine"], ["compare"]):
        done = process(tmp_path, *arguments)
        assert done.returncode in (1, 2) and f"--plugin {file}" in done.stderr, done.stderr
    assert not marker.exists()
    assert process(tmp_path, "sample", "mine", VAECLI_PLUGIN="laplace.py").returncode == 0
    assert marker.exists()
    failed = process(tmp_path, "sample", VAECLI_PLUGIN="nowhere.py")
    assert (failed.returncode, failed.stdout) == (2, "")
    assert failed.stderr.startswith("vaecli: VAECLI_PLUGIN: --plugin nowhere.py: found no such file")
    line = f"vaecli train --plugin {file} --prior min"
    words = {"_VAECLI_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": "5"}
    assert process(tmp_path, **words).stdout.split() == ["mine"]
    searched = process(
        tmp_path, "search", "--plugin", "laplace.py", "--prior", "mine", "--latent-dim", "2,3", "--workers", 2, *small[:4],
        "--validation", 100,
    )  # fmt: skip
    assert searched.returncode == 0, searched.stderr


@pytest.mark.system
def test_an_installed_package_brings_members_and_one_that_fails_leaves_the_rest_usable(tmp_path, small_mnist):
    for name, content in (
        ("good", "import vaecli\nvaecli.register('prior', 'packaged', 'of a package', path='vaecli.priors.normal:StandardNormal')"),
        ("bad", "import nowhere"),
    ):
        about = tmp_path / "site" / f"{name}_package-1.2.dist-info"
        about.mkdir(parents=True)
        (tmp_path / "site" / f"{name}_members.py").write_text(content)
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.2\n")
        (about / "entry_points.txt").write_text(f"[vaecli]\n{name} = {name}_members\n")
    path = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])}
    assert "packaged of a package" in " ".join(process(tmp_path, "train", "--help-all", **path).stdout.split())
    small = ["--data-dir", small_mnist, "--epochs", 1, "--name", "mine", "-q"]
    assert process(tmp_path, "train", "--prior", "packaged", *small, **path).returncode == 0
    missing = process(tmp_path, "sample", "mine")
    assert "install the package that brings it, good-package 1.2" in missing.stderr
    unknown = process(tmp_path, "train", "--prior", "bda", **path).stderr
    assert "the package bad-package 1.2 could not be loaded: ModuleNotFoundError: No module named 'nowhere'" in unknown


def test_a_search_in_processes_refuses_members_of_this_session(tmp_path, small_mnist):
    @library.register("objective", "here", "of this session")
    class Here:
        draws = 1

    registry.REGISTRY["objective"]["here"] = registry.Member(Here, "of this session", provider=registry.Provider())
    settings = {"objective": "here", "latent_dim": [2, 3], "epochs": 1, "validation": 100}
    with pytest.raises(UsageError, match="the objective here of this session, which other processes do not have"):
        library.search(settings, tmp_path, workers=2, data_dir=small_mnist)


def test_the_page_computes_no_likelihood_of_others_whatever_its_class_is_called(tmp_path, small_mnist):
    library.register("likelihood", "mine", "black or white", binarize=("threshold",))(type("Bernoulli", (Bernoulli,), {}))
    config = Config(likelihood="mine", epochs=1, hidden=(5,))
    run = library.train(config, tmp_path / "run", data_dir=small_mnist)
    with pytest.raises(library.VaecliError, match="found the likelihood Bernoulli, expected one that the page computes"):
        payload([run], [run.images("test", small_mnist)])


def test_weights_beside_layers_are_counted_once():
    class Scaled(nn.Sequential):
        def __init__(self, *layers):
            super().__init__(*layers)
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x, y=None):
            return self.scale * super().forward(x)

    @library.register("arch", "scaled", "dense layers, scaled")
    class Networks:
        def encoder(self, shape, labels, outputs):
            return Scaled(nn.Linear(shape.size, outputs))

        def decoder(self, shape, latent_dim, labels, outputs):
            return Scaled(nn.Linear(latent_dim, outputs * shape.size), nn.Unflatten(-1, (outputs, shape.size)))

    config = Config(arch="scaled")
    assert architecture(config).parameters == sum(parameter.numel() for parameter in build(config).parameters())
