import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest

from tests.helpers import BASELINE, ROOT
from vaecli import registry
from vaecli.config import SETTINGS, Config, merge
from vaecli.errors import UsageError
from vaecli.runs.find import read_config


def test_json_round_trip():
    for config in (Config(), Config(objective="iwae", k=10, hidden=(200, 100), latent_dim=50, limit=7, lr=0.01)):
        assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_members_options_are_filled_in_or_left_out():
    assert (Config().k, Config().kl_weight, Config().hidden, Config().binarize) == (1, 1.0, (500,), "threshold")
    assert (Config(objective="iwae").k, Config(objective="iwae").kl_weight) == (5, None)
    assert "kl_weight" not in Config(objective="iwae").to_json()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"objective": "iwea"}, "did you mean iwae?"),
        ({"k": 0}, "k=0: expected a whole number from 1"),
        ({"latent_dim": -1}, "latent_dim=-1: expected a whole number from 1"),
        ({"latent_dim": 10**9}, "latent_dim=1000000000: expected a whole number"),
        ({"latent_dim": 2.0}, "expected a whole number"),
        ({"latent_dim": True}, "expected a whole number"),
        ({"lr": float("nan")}, "lr=nan: expected a number"),
        ({"lr": 0}, "lr=0: expected a number"),
        ({"hidden": ()}, "1 to 16 whole numbers"),
        ({"hidden": (5, 0)}, "hidden=.*: expected a whole number from 1"),
        ({"dataset": 3}, "expected a word"),
        ({"objective": "iwae", "kl_weight": 0.5}, "iwae has no such option, expected it only with objective=elbo"),
        ({"objective": "dreg", "kl_warmup": 3}, "dreg has no such option, expected it only with objective=elbo or stl"),
        ({"kl_weight": 0, "kl_warmup": 3}, "kl_warmup=3 with kl_weight=0: it has no effect, expected a weight of KL above 0"),
        ({"kl_weight": 0, "free_bits": 0.5}, "free_bits=0.5 with kl_weight=0: it has no effect"),
        ({"kl_weight": 0, "objective": "beta-tc"}, "tc_weight=4 with kl_weight=0: .* or tc_weight=1"),
        ({"binarize": "none"}, "leaves the pixels grey, which bernoulli is no distribution over; expected binarize=threshold"),
        ({"color": 1}, "the setting 'color'"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        Config.from_json(settings)


def test_run_names_tell_settings_apart():
    assert Config().run_name == "mnist-z2-elbo"
    assert Config(latent_dim=3, objective="iwae", k=10).run_name == "mnist-z3-iwae-k10"
    others = [{}, {"seed": 1}, {"lr": 0.1}, {"hidden": (200, 200)}, {"epochs": 3}, {"limit": 9}, {"batch_size": 20},
              {"binarize": "stochastic"}, {"kl_weight": 0.5}, {"k": 3}, {"latent_dim": 4}, {"objective": "iwae"},
              {"kl_warmup": 0.5}]  # fmt: skip
    names = [Config(**settings).run_name for settings in others]
    assert len(set(names)) == len(names)


def test_a_config_file_gives_the_settings_and_options_change_them(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(Config(objective="elbo", kl_weight=0.5, latent_dim=7).to_json()))
    assert Config(**merge(read_config(path)[0], {"objective": "iwae", "k": 3})) == Config(objective="iwae", k=3, latent_dim=7)
    assert Config(**merge(read_config(path)[0], {"seed": 3})) == Config(kl_weight=0.5, latent_dim=7, seed=3)
    for content in ("", "[1]", '{"k": "many"}', "[" * 10_000):
        path.write_text(content)
        with pytest.raises(UsageError, match=f"config={path}: "):
            read_config(path)


@pytest.mark.system
def test_a_type_checker_finds_wrong_names_and_types_of_settings(tmp_path):
    right = ['vaecli.Config(latent_dim=3, hidden=(200, 100), likelihood="beta", k=5, limit=None, lr=1)', "vaecli.Config().seed + 1"]
    wrong = ["latnet_dim=3", 'latent_dim="3"', "hidden=(0.5,)", "colour=1", "k=2.5", 'lr="0.1"', "objective=None", 'alpha="x"']
    lines = ["import vaecli", *right, *(f"vaecli.Config({setting})" for setting in wrong), "vaecli.Config().latnet_dim"]
    (tmp_path / "user.py").write_text("\n".join(lines))
    needed = [ROOT / "vaecli" / f"{name}.py" for name in ("__init__", "config", "settings", "registry")]  # torch would take long
    options = ["--strict", "--config-file=", "--follow-imports=skip", f"--cache-dir={tmp_path}"]
    command = [sys.executable, "-m", "mypy", *options, "user.py", *map(str, needed)]
    environment = os.environ | {"MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True, check=False)
    found = [line for line in done.stdout.splitlines() if line.startswith("user.py:")]
    assert [int(line.split(":")[1]) for line in found] == list(range(2 + len(right), 1 + len(lines))), done.stdout + done.stderr


def test_options_of_the_registry_are_fields_of_the_same_name():
    by_name, rules = {field.name: field.metadata for field in fields(Config)}, ("help", "low", "high", "choices")
    for family in registry.REGISTRY:
        for option in registry.options_of(family):
            rule = by_name[option.name]
            assert [rule[name] for name in rules] == [getattr(option, name) for name in rules]


def test_every_setting_is_helped():
    for setting in SETTINGS:
        assert setting.metadata["help"].endswith("."), setting.name
        assert setting.metadata["group"] in ("Data", "Model", "Objective", "Training")


@pytest.mark.parametrize(
    ("size", "channels"),
    [(28, (32, 64)), (32, (32, 64)), (64, (32, 64, 128)), (256, (32, 64, 128, 256, 256)), (50, (32,)), (4, (32,))],
)
def test_convolutions_fit_the_size_of_the_images(size, channels):
    assert Config(dataset="folder", arch="conv", image_size=size).channels == channels


def test_a_data_set_has_its_own_likelihood_size_and_colour():
    own, digits = Config(dataset="folder"), Config()
    assert (own.likelihood, own.binarize, own.image_size, own.colour) == ("discretized-logistic", "none", 64, "rgb")
    assert (digits.likelihood, digits.binarize, digits.image_size, digits.colour) == ("bernoulli", "threshold", 28, None)
    assert Config(dataset="folder", arch="conv").run_name == "folder-z2-elbo-conv"
    assert Config(dataset="folder", image_size=32, colour="grey", likelihood="beta").run_name == "folder-z2-elbo-size32-grey-beta"
    assert Config(arch="conv", image_size=32).run_name == "mnist-z2-elbo-size32-conv"


def test_a_run_that_is_older_than_a_setting_was_trained_without_it():
    written = Config(dataset="folder", shuffle="all").to_json()
    assert (written.pop("shuffle"), written.pop("lr_warmup"), written.pop("init_bias")) == ("all", 20, "data")
    before = Config(dataset="folder", shuffle="all", lr_warmup=0, init_bias="random")
    assert Config.from_json(written) == before != Config(dataset="folder", shuffle="all")


def test_a_run_from_before_training_started_at_the_mean_image_is_repeated_as_it_was(tmp_path):
    """The setting stands in its file, or it is older than the setting; only a new run has the default."""
    assert read_config(BASELINE / "config.json")[0]["init_bias"] == "random" != Config().init_bias
    (tmp_path / "config.json").write_text(json.dumps({"latent_dim": 3, "hidden": [500]}))
    settings = read_config(tmp_path / "config.json")[0]
    assert Config(**settings) == Config(latent_dim=3, init_bias="random")
    assert Config(**merge(settings, {"init_bias": "data"})) == Config(latent_dim=3)
    assert (Config().run_name, Config(**settings).run_name) == ("mnist-z2-elbo", "mnist-z3-elbo-random")
