"""Members of the registry on the command line: what does not go together is refused."""

from itertools import product

import pytest

from tests.helpers import one_line
from vaecli import registry
from vaecli.config import BINARIZE

PAIRS = product(registry.names("likelihood"), BINARIZE)


@pytest.mark.parametrize(
    ("likelihood", "binarize"), [(name, how) for name, how in PAIRS if how not in registry.find("likelihood", name).binarize]
)
def test_pixels_that_a_likelihood_has_no_distribution_over_are_refused(vaecli, likelihood, binarize):
    line = one_line(vaecli("train", "--likelihood", likelihood, "--binarize", binarize), 2)
    assert f"which {likelihood} is no distribution over; expected --binarize " in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objective", "jsd", "--kl-weight", "2"], "expected it only with --objective elbo"),
        (["--objective", "iwae", "--alpha", "0.3"], "expected it only with --objective gjs"),
        (["--channels", "8"], "expected it only with --arch conv"),
        (["--arch", "conv", "--channels", "8,8,8"], "expected at most 2, since 28 pixels"),
        (["--label-fraction", "0.3"], "expected it only with --labels partial"),
        (["--labels", "partial", "--label-fraction", "1.5"], "expected a number from 0 to 1"),
    ],
)
def test_options_of_another_member_are_refused(vaecli, arguments, words):
    assert words in one_line(vaecli("train", *arguments), 2)
