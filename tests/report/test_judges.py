"""Verdicts with made-up numbers on both sides of each decision: no verdict stands whatever the numbers are."""

import re

import pytest

from vaecli.report.figures import FIGURES
from vaecli.report.verdicts import PairedDifference

YES, NO, IN_PART, OPEN, OPEN_OF_ONE = "yes", "no", "in part", "not decided by three seeds", "not decided"
UP, DOWN, LEVEL = 5.0, -5.0, 0.5


def apart(by, first=50.0, error=1.0, seeds=3):
    """Two models that differ by so much, with a margin of 2 over images."""
    return PairedDifference(first, first + by, error, 0.1 if seeds > 1 else 0.0, seeds)


def share(by, first=0.5, seeds=3):
    """Two models whose shares differ by so many points of a hundred, with a margin of 2 over images."""
    return PairedDifference(first, first + by / 100, 0.01, 0.001 if seeds > 1 else 0.0, seeds)


def judge(number, *numbers):
    found = FIGURES[number - 1].judge(*numbers)
    assert found.text and found.ours
    assert not re.search(r"nan|inf|\bNone\b", found.text)
    asked = FIGURES[number - 1].judge(*numbers, level=0).decisions
    assert asked == found.decisions, "how many differences there are depends on what they are"
    if found.verdict != "nothing is claimed":
        assert all(re.search(r"\d%? against -?\d.*, [+-]\d.*±", each.why) for each in asked)
    return found


def parts(found):
    """The parts of the claim, each with whether it holds."""
    return {each.what: each.holds for each in found.decisions if each.claimed}


@pytest.mark.parametrize(("by", "verdict"), [(UP, YES), (DOWN, NO), (LEVEL, OPEN)])
def test_latent_spaces_are_judged_by_their_neighbours(by, verdict):
    assert judge(1, share(by)).verdict == verdict


@pytest.mark.parametrize(("by", "verdict"), [(UP, YES), (DOWN, NO), (LEVEL, OPEN)])
@pytest.mark.parametrize(
    ("spread", "words"), [(UP, "are more evenly spread"), (DOWN, "are less evenly spread"), (LEVEL, "are not seen to be")]
)
def test_samples_are_judged_by_what_is_recognised(by, verdict, spread, words):
    found = judge(2, 0.97, share(by), apart(LEVEL), apart(spread))
    assert found.verdict == verdict
    assert words in found.reading
    assert "right on 97.0%" in found.text


@pytest.mark.parametrize(("by", "verdict"), [(DOWN, YES), (UP, NO), (LEVEL, OPEN)])
def test_losses_are_judged_by_the_bound(by, verdict):
    assert judge(3, apart(by)).verdict == verdict


@pytest.mark.parametrize(
    ("by", "verdict", "words"),
    [
        ((UP, UP, UP), YES, ""),
        ((DOWN, DOWN, DOWN), NO, ""),
        ((DOWN, UP, UP), IN_PART, "2 of the 3 dimensions have more variance than the two on average, 1 less."),
        ((LEVEL, UP, UP), OPEN, ""),
        ((DOWN, LEVEL, UP), IN_PART, "1 of the 3 dimensions have more variance than the two on average, 1 less."),
    ],
)
def test_each_dimension_is_judged_by_itself(by, verdict, words):
    found = judge(4, [apart(each) for each in by], [0.5, 1.5])
    assert (found.verdict, found.reading) == (verdict, words)


def test_an_architecture_is_described_and_not_judged():
    found = judge(5, [("encoder.input", 10)], 5, 20)
    assert found.text == "encoder.input takes 10 inputs more: 5 of 20 parameters."
    assert found.verdict == "nothing is claimed"
    assert judge(5, [], 0, 20).text.startswith("No layer takes the label")


@pytest.mark.parametrize(("by", "words"), [(DOWN, "say less"), (UP, "say more"), (LEVEL, "do not differ")])
def test_the_sentence_on_labels_is_chosen_by_the_numbers(by, words):
    found = judge(6, share(by, seeds=1))
    assert found.verdict == "nothing is claimed"
    assert words in found.reading


@pytest.mark.parametrize(
    ("drawn", "entropy", "verdict"),
    [(UP, DOWN, YES), (DOWN, UP, NO), (UP, UP, IN_PART), (DOWN, DOWN, IN_PART), (UP, LEVEL, OPEN), (LEVEL, LEVEL, OPEN)],
)
def test_labels_are_judged_by_the_digit_asked_for_and_by_clear_pixels(drawn, entropy, verdict):
    found = judge(7, 0.97, share(drawn), apart(entropy), apart(LEVEL, -140))
    assert found.verdict == verdict
    assert "Test -ELBO 139.50 nats and 140.00." in found.text


@pytest.mark.parametrize(
    ("easy", "detail", "verdict"),
    [(UP, DOWN, YES), (DOWN, UP, NO), (DOWN, DOWN, IN_PART), (UP, UP, IN_PART), (LEVEL, DOWN, OPEN_OF_ONE)],
)
def test_clothes_are_judged_by_recognition_and_by_detail(easy, detail, verdict):
    found = judge(8, share(-20, seeds=1), share(easy, seeds=1), apart(detail, seeds=1))
    assert found.verdict == verdict
    assert found.reading == "Reconstructions are recognised 60% as often as the images."


@pytest.mark.parametrize(
    ("kept", "drawn", "spread", "verdict"),
    [
        (0, 0, 0, YES),
        (20, -20, 2, NO),
        (-20, -20, -2, NO),
        (0, -20, -2, NO),
        (0, 0, -2, NO),
        (0, -20, 0, NO),
        (4, -20, 0, NO),  # what is open does not help where another part fails
        (4, 0, 0, OPEN_OF_ONE),  # 4 points, give or take 2: within 5 or not
    ],
)
@pytest.mark.parametrize(("kl", "words"), [(UP, "The posterior is further"), (LEVEL, "not seen to be further")])
def test_divergences_are_judged_by_what_is_alike(kept, drawn, spread, verdict, kl, words):
    found = judge(
        9, share(kept, seeds=1), share(drawn, seeds=1), PairedDifference(2.0, 2 + spread, 0.05), apart(LEVEL, seeds=1),
        apart(kl, seeds=1), (0.3, 0.9),
    )  # fmt: skip
    assert found.verdict == verdict
    assert found.reading.startswith(words) or words in found.reading
    assert "the two commonest digits are 90.0% of them, 30.0% with KL" in found.text


def particles(losses, continued=-8.0, share=LEVEL):
    bounds = {k: apart(LEVEL, -150.0) for k in (1, 5, 10, 500)}
    more = apart(continued, 150.0, 0.3), apart(-6.0, 150.0, 0.3), apart(share, -continued / 2)
    return 2000, apart(losses, 150.0, 0.3), bounds, apart(1.0, -150.0), *more


@pytest.mark.parametrize(
    ("losses", "verdict", "words"),
    [
        (-11.0, YES, ""),
        (-7.0, YES, ""),
        (-2.0, IN_PART, "The direction is the report's, the size is not"),
        (2.0, NO, "The direction is not the report's"),
        (0.2, OPEN, "Even the direction is open."),  # though the size is certainly not the report's
        (-5.5, OPEN, ""),
    ],
)
def test_the_direction_and_the_size_of_iwaes_gain_are_two_answers(losses, verdict, words):
    found = judge(10, *particles(losses))
    assert found.verdict == verdict
    assert words in found.reading
    assert "-L_1 150.00 and 149.50; -L_5 150.00 and 149.50" in found.text
    assert "-L_500 moves by -0.50 (±1.00" in found.text


@pytest.mark.parametrize(
    ("continued", "share", "words"),
    [
        (-8.0, UP, "So most of it is longer training, not the five more particles."),
        (-8.0, DOWN, "So less than half of it is longer training."),
        (-8.0, LEVEL, "Whether that is most of it is not decided."),
        (0.1, UP, "training k = 5 itself as long moves it by -6.00 (±0.30 over images, ±0.10 over 3 seeds)."),
    ],
)
def test_a_gain_of_the_warm_start_is_set_against_longer_training(continued, share, words):
    assert judge(10, *particles(-2.0, continued, share)).reading.endswith(words)


@pytest.mark.parametrize(
    ("entropy", "closeness", "verdict"), [(DOWN, UP, YES), (UP, DOWN, NO), (DOWN, DOWN, IN_PART), (LEVEL, UP, OPEN)]
)
def test_reconstructions_are_judged_by_clear_pixels_and_by_closeness(entropy, closeness, verdict):
    assert judge(11, apart(entropy), apart(closeness, -120), 0.01).verdict == verdict


@pytest.mark.parametrize(
    ("sharp", "seen", "verdict"), [(DOWN, DOWN, YES), (UP, UP, NO), (DOWN, UP, IN_PART), (DOWN, LEVEL, OPEN_OF_ONE)]
)
def test_the_beta_likelihood_is_judged_by_blur_and_recognition(sharp, seen, verdict):
    assert judge(12, share(sharp, seeds=1), share(seen, seeds=1)).verdict == verdict


@pytest.mark.parametrize(
    ("others", "without", "verdict"), [(UP, UP, YES), (DOWN, DOWN, NO), (UP, DOWN, IN_PART), (UP, LEVEL, OPEN_OF_ONE)]
)
@pytest.mark.parametrize(
    ("mean", "words"),
    [(UP, "is ahead of the mean image of the zeros"), (DOWN, "The mean image of the zeros, for"), (LEVEL, "do not differ")],
)
def test_a_bottom_follows_its_top_where_that_makes_it_likelier(others, without, verdict, mean, words):
    found = judge(13, 20, apart(without, seeds=1), apart(others, seeds=1), apart(mean, seeds=1), -130.0)
    assert found.verdict == verdict
    assert words in found.reading
    assert parts(found) == {"likelier than given other digits' tops": others > 0, "likelier than given none": without > 0}
    assert "The mean image of all digits has -130.00" in found.text


@pytest.mark.parametrize(
    ("by", "as_long", "verdict"),
    [(UP, UP, YES), (DOWN, DOWN, NO), (LEVEL, LEVEL, OPEN), (UP, LEVEL, OPEN), (UP, DOWN, IN_PART)],
)
@pytest.mark.parametrize(
    ("epochs", "words"),
    [
        ((1, 1, 7), ", 40 and 5 seconds, 1 epoch and 1 epoch. Trained for 7 epochs, 35 seconds, the model without"),
        ((3, 2, 21), ", 40 and 5 seconds, 2 epochs and 3 epochs. Trained for 21 epochs, 35 seconds, the model without"),
    ],
)
def test_convolutions_are_judged_by_reconstruction_beside_what_they_cost(by, as_long, verdict, epochs, words):
    longer = apart(as_long, -175)
    found = judge(14, apart(by, -180), longer, share(LEVEL), apart(-by, -200), (800_000, 400_000), (5.0, 40.0, 35.0), epochs)
    assert found.verdict == verdict
    assert words in found.text
    assert "-175.00" in found.text and "-175.00" in found.ours
    assert found.reading == "Convolutions take 8.0 times the seconds of training, and 0.50 times the parameters."


def test_every_figure_quotes_a_claim():
    for figure in FIGURES:
        assert figure.claim and re.fullmatch(r"\d(\.\d)?", figure.section)
        assert figure.how or figure.number in (5, 6, 14)
