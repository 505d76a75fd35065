import math
import re
from dataclasses import replace

import pytest

from vaecli.evaluation.soundness import Facts, known, sentence, warnings_of

BASELINE = Facts(
    epochs=[1, 2, 3, 4, 5], losses=[193.01, 173.80, 169.16, 165.59, 162.73], measured=[177.14, 170.86, 167.13, 163.74, 161.45],
    steps=1500, latent_dim=2, active_units=2, no_model=543.4, independent=206.2,
)  # fmt: skip
"""As `vaecli train` prints it in the README."""


def of(**changes):
    return warnings_of(replace(BASELINE, **changes))


def test_a_sound_run_has_none():
    assert warnings_of(BASELINE) == {}


@pytest.mark.parametrize(
    ("changes", "name", "numbers", "words"),
    [
        ({"independent": 161.0}, "worse_than_no_model", {"loss": 161.45, "no_model": 161.0}, "161.45, where .* 161.00 nats"),
        ({"no_model": 100.0}, "worse_than_no_model", {"loss": 161.45, "no_model": 100.0}, "100.00 nats"),
        ({"active_units": 0}, "collapsed", {"active_units": 0, "latent_dim": 2}, "0 of 2 latents are active"),
        ({"active_units": 1, "latent_dim": 32}, "collapsed", {"active_units": 1, "latent_dim": 32}, "1 of 32 latents is active"),
        ({"steps": 5}, "few_steps", {"steps": 5}, "Only 5 steps of training"),
        ({"steps": 1}, "few_steps", {"steps": 1}, "Only 1 step of training"),
        ({"steps": 600}, "few_steps", {"steps": 600}, "Only 600 steps"),
        ({"losses": [200, 190, 180, 170, 160]}, "still_falling", {"fall": 40, "lately": 10, "epochs": 1},
         "still falling: by 10.00 of 40.00 in the last epoch;"),
        ({"losses": [300 - 10 * i for i in range(11)], "measured": [300 - 14 * i for i in range(11)],
          "epochs": [50 * i for i in range(1, 12)]},
         "still_falling", {"fall": 100, "lately": 20, "epochs": 100}, "in the last 100 epochs;"),
        ({"losses": [400 - 10 * i for i in range(24)], "measured": [400 - 14 * i for i in range(24)], "epochs": range(1, 25)},
         "still_falling", {"fall": 230, "lately": 50, "epochs": 5}, "by 50.00 of 230.00 in the last 5 epochs;"),
        ({"losses": [2.0, 1.75, 1.5, 1.25, 1.0], "measured": [2.0, 1.75, 1.5, 1.25, 1.0]},
         "still_falling", {"fall": 1, "lately": 0.25, "epochs": 1}, "by 0.25 of 1.00 in the last epoch;"),
        ({"measured": [180, 150, 152, 160, 170]}, "better_before", {"epoch": 2, "loss": 150, "kept_epoch": 5, "worse": 20},
         "Epoch 2 was the best, -ELBO 150.00; epoch 5, which is kept, is 20.00 worse"),
        ({"measured": [-180, -300, -290, -280, -270], "no_model": 0.0, "independent": -100.0},
         "better_before", {"epoch": 2, "loss": -300, "kept_epoch": 5, "worse": 30}, "Epoch 2 was the best, -ELBO -300.00"),
        ({"grey": 0.38}, "binarized_grey", {"share": 0.38}, "38% of the pixels are neither black nor white"),
    ],
)  # fmt: skip
def test_one_warning(changes, name, numbers, words):
    (found,) = of(**changes).items()
    assert found == (name, numbers)
    assert re.search(words, sentence(*found))
    assert sentence(*found).isprintable()
    assert known(*found)


def test_a_loss_that_never_moved_is_not_still_falling():
    flat = of(losses=[554.22, 554.21, 554.20, 554.19, 554.18], measured=[554.2] * 5)
    assert set(flat) == {"worse_than_no_model", "never_moved"}
    assert sentence("never_moved", flat["never_moved"]) == (
        "The loss never moved: 554.22 at first, 554.18 at last; try a larger learning rate"
    )


def test_a_run_that_has_nothing_more_to_learn_is_not_one_that_never_moved():
    """Noise is learnt in the first epoch; so is a run whose first epoch is long."""
    assert of(losses=[160.02, 160.01, 160.01, 160.0, 160.0], measured=[160.0] * 5) == {}


def test_a_run_with_one_row_is_judged_by_what_it_has():
    assert of(epochs=[1], losses=[193.0], measured=[177.1]) == {}
    assert set(of(epochs=[1], losses=[554.0], measured=[553.0], steps=3)) == {"worse_than_no_model", "few_steps"}


@pytest.mark.parametrize("worse", [0.1, 0.3])
def test_noise_between_epochs_is_no_better_epoch(worse):
    assert of(measured=[177.14, 170.86, 161.45 - worse, 161.5, 161.45]) == {}


def test_losses_that_flatten_are_quiet_whatever_their_length():
    for count in (4, 5, 10, 30, 60, 1000):
        losses = [160 + 40 * math.exp(-4 * i / count) for i in range(count)]
        assert of(epochs=range(1, count + 1), losses=losses, measured=losses) == {}, count


def test_densities_may_be_negative():
    assert (
        of(losses=[-100, -400, -450, -470, -480], measured=[-300, -430, -460, -470, -475], no_model=0.0, independent=-200.0) == {}
    )
    assert "worse_than_no_model" in of(measured=[50, 40, 30, 20, 10], no_model=0.0, independent=300.0)


@pytest.mark.parametrize(
    ("name", "numbers"), [("few_steps", {}), ("few_steps", {"steps": 1, "more": 2}), ("none", {"steps": 1}), ("none", {})]
)
def test_other_names_and_numbers_are_not_known(name, numbers):
    assert not known(name, numbers)
