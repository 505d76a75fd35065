"""What a search makes of its settings: lists, ranges, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest

from vaecli import Config, registry
from vaecli.config import SETTINGS
from vaecli.errors import UsageError
from vaecli.settings import kind_of
from vaecli.studies.plan import Plan, particles_of
from vaecli.studies.space import VALIDATION, Range, Space, spans_decades


def test_a_grid_has_every_combination_in_the_order_given():
    space = Space.of({"latent_dim": [5, 2], "lr": [1e-3, 1e-4], "seed": [0, 1], "epochs": 2})
    assert list(space.combinations()) == [
        {"latent_dim": 5, "lr": 1e-3}, {"latent_dim": 5, "lr": 1e-4}, {"latent_dim": 2, "lr": 1e-3}, {"latent_dim": 2, "lr": 1e-4},
    ]  # fmt: skip
    assert space.varied == ("latent_dim", "lr", "seed")
    config = space.config({"latent_dim": 2, "lr": 1e-4}, 1)
    assert config == Config(latent_dim=2, lr=1e-4, seed=1, epochs=2, validation=VALIDATION)
    assert Plan.of({"latent_dim": [5, 2], "seed": [0, 1]}).total == 4


def test_python_may_give_a_list_as_a_tuple():
    assert Space.of({"latent_dim": (5, 2)}) == Space.of({"latent_dim": [5, 2]})
    assert Space.of({"hidden": (8, 16), "lr": [1e-3, 1e-2]}).fixed["hidden"] == (8, 16)


WITHOUT_LISTS = (
    "dataset",
    "image_size",
    "colour",
    "binarize",
    "likelihood",
    "labels",
    "validation",
    "pixel_range",
    "hidden",
    "channels",
    "prior_hidden",
    "posterior_hidden",
)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_has_a_list_or_says_why_not(setting):
    name, rule = setting.name, setting.metadata
    words = {
        "arch": ["mlp", "conv"], "objective": ["elbo", "jsd"], "hidden": [[8], [16]], "channels": [[8], [16]],
        "pixel_range": [[0, 1], [0, 2]], "prior_hidden": [[8], [16]], "posterior_hidden": [[8], [16]],
        "prior": registry.names("prior"), "posterior": registry.names("posterior"),
    }  # fmt: skip
    numbers = [28, 32] if kind_of(setting) is int else [0.25, 0.5]
    values = words.get(name) or list(rule["choices"] or numbers)
    other = {
        "channels": {"arch": "conv"},
        "blocks": {"arch": "resnet"},
        "label_fraction": {"labels": "partial"},
        "colour": {"dataset": "folder"},
        "components": {"prior": "mixture"},
        "flow": {"prior": "flow"},
        "prior_transforms": {"prior": "flow"},
        "prior_hidden": {"prior": "flow"},
        "posterior_transforms": {"posterior": "flow"},
        "posterior_hidden": {"posterior": "flow"},
        "second_latents": {"prior": "two-layer"},
    }.get(name, {})
    owners = [owner for owner, member in registry.REGISTRY["objective"].items() if name in member.defaults]
    other = {"objective": owners[0]} if owners else other
    if name in WITHOUT_LISTS:
        with pytest.raises(UsageError, match=r"cannot be compared|expected a (whole )?number"):
            Space.of({"latent_dim": [2, 3]} | other | {name: values})
    else:
        assert Space.of(other | {name: values}).varied == (name,)


@pytest.mark.parametrize("values", [np.arange(2, 4), list(np.arange(2, 4)), range(2, 4), (np.int64(2), 3)], ids=str)
def test_values_of_numpy_and_of_pythons_range_are_values(values):
    space = Space.of({"latent_dim": values, "epochs": np.int64(2)})
    plain = Space.of({"latent_dim": [2, 3], "epochs": 2})
    assert space.to_json() == plain.to_json()
    assert [type(value) for value in space.lists["latent_dim"]] == [int, int]


def test_numbers_are_equal_however_they_were_typed():
    """What is read from a storage is a float again, not one of NumPy's, or a whole number."""
    space = Space.of({"lr": [*np.logspace(-4, -3, 2), 1], "latent_dim": Range(np.int64(2), np.int64(4))})
    assert [type(value) for value in space.lists["lr"]] == [float, float, float]
    assert space.ranges["latent_dim"] == Range(2, 4)
    assert type(space.ranges["latent_dim"].low) is int


def test_ranges_are_logarithmic_where_they_span_a_decade():
    assert [Range(*ends).log for ends in ((2, 50), (1e-4, 1e-2), (2, 19), (0.0, 1.0), (1, 10))] == [True, True, False, False, True]
    assert not spans_decades([-1, 100])
    assert not spans_decades(["a", 100])


def test_sampled_numbers_have_three_digits_and_stay_within_their_range():
    space = Space.of({"lr": Range(1.2345e-4, 1e-2), "latent_dim": Range(2, 50)})
    assert space.rounded({"lr": 0.00123456789, "latent_dim": 17}) == {"lr": 0.00123, "latent_dim": 17}
    assert space.rounded({"lr": 1.2346e-4, "latent_dim": 2})["lr"] == 1.2345e-4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"latent_dim": Range(50, 2)}, "latent_dim=50:2: the range is upside down or empty, .* such as latent_dim=2:50"),
        ({"lr": Range(1e-3, 1e-3)}, "upside down or empty"),
        ({"latent_dims": [2, 3]}, "did you mean latent_dim"),
        ({"objective": Range(1, 2)}, "objective=1:2: found a range, expected a value"),
        ({"hidden": Range(100, 500)}, "hidden=100:500: found a range"),
        ({"seed": Range(0, 5)}, "seed=0:5: found a range, expected a list, such as seed=0,1,2"),
        ({"latent_dim": Range(2.5, 5)}, "expected a range of whole numbers"),
        ({"latent_dim": Range(0, 5)}, "latent_dim=0: expected a whole number from 1"),
        ({"latent_dim": [2, 5000]}, "latent_dim=5000: expected a whole number from 1"),
        ({"lr": [1e-3, "fast"]}, "lr=fast: expected a number"),
        ({"seed": [0, -1]}, "seed=-1: expected"),
        ({"objective": ["elbo", "jsd"], "kl_weight": 2.0}, "jsd has no such option"),
        ({"likelihood": ["bernoulli", "beta"]}, "cannot be compared"),
        ({"latent_dim": []}, "found an empty list"),
        ({"latent_dim": {2, 3}}, "latent_dim: found a set, expected a whole number"),
        ({"latent_dim": [[2], [3]]}, "latent_dim=2: expected a whole number"),
        ({"latent_dim": 2}, "expected a list or a range"),
        ({"latent_dim": [2, 2]}, "expected a list or a range"),
        ({"latent_dim": list(range(1, 200)), "batch_size": list(range(1, 200))}, "39,601 combinations"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_one_line(settings, words):
    with pytest.raises(UsageError, match=words) as caught:
        Space.of(settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"trials": 5}, "trials=5 without a range"),
        ({"by": "L_0"}, "by=L_0: expected elbo, or L_k"),
        ({"by": "test_elbo"}, "by=test_elbo"),
        ({"epochs": 1, "prune": True}, "prune with epochs=1"),
        ({"lr": Range(1e-4, 1e-2), "trials": 7}, "trials=7: expected .* a multiple of the 2 seeds"),
        ({"lr": Range(1e-4, 1e-2), "trials": 0}, "trials=0: expected a whole number from 1"),
        ({"name": "../x"}, "name=../x: expected the name of a folder, .* such as name=first-try"),
        ({"name": ""}, "name: expected the name of a folder"),
    ],
)
def test_options_that_do_not_fit_are_refused(asked, words):
    options = {name: asked.pop(name) for name in ("trials", "by", "prune", "name") if name in asked}
    with pytest.raises(UsageError, match=words):
        Plan.of({"latent_dim": [2, 3], "seed": [0, 1]} | asked, **options)


def test_the_bound_to_choose_by():
    assert [particles_of(by) for by in ("elbo", "L_1", "L_5000")] == [None, 1, 5000]


def test_the_name_is_that_of_what_is_searched_and_of_nothing_else():
    def name(settings, **options):
        return Plan.of(settings, **options).name

    plain = name({"latent_dim": [2, 3]})
    assert plain.startswith("search-latent-dim-")
    for same in ({"epochs": 5}, {"validation": VALIDATION}, {"init_bias": "data"}):
        assert name({"latent_dim": [2, 3], **same}) == plain
    assert name({"latent_dim": [2, 3]}, storage="sqlite:///elsewhere.db", out=Path("x")) == plain
    others = [
        name({"latent_dim": [2, 4]}), name({"latent_dim": [2, 3], "epochs": 6}), name({"latent_dim": [2, 3]}, by="L_50"),
        name({"latent_dim": [2, 3], "validation": 5000}), name({"latent_dim": [2, 3], "seed": [0, 1]}),
    ]  # fmt: skip
    assert len({plain, *others}) == 6
    assert len({plain, name({"latent_dim": [2, 3], "init_bias": "random"}), name({"init_bias": ["data", "random"]})}) == 3
    ranged = {"lr": Range(1e-4, 1e-2)}
    assert name(ranged, trials=10) == name(ranged, trials=20), "more trials go on with the same study"


def test_a_study_from_before_training_started_at_the_mean_image_is_another():
    """Its identity had no start where that was the default, random: more trials would start elsewhere than the others."""
    assert Plan.of({"latent_dim": [2, 3]}).identity["settings"] == {"validation": VALIDATION, "init_bias": "data"}
    assert "init_bias" not in Plan.of({"init_bias": ["data", "random"]}).identity["settings"]


def test_no_plan_shows_a_password():
    assert "secret" not in repr(Plan.of({"latent_dim": [2, 3]}, storage="postgresql://me:secret@host/db"))


def test_sampled_settings_are_in_the_order_of_help_and_of_three_digits():
    space = Space.of({"lr": Range(1e-4, 1e-2), "latent_dim": Range(2, 6)})
    assert list(space.rounded({"lr": 0.00153421, "latent_dim": 3}).items()) == [("latent_dim", 3), ("lr", 0.00153)]
