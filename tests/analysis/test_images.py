"""The images that a run is shown with."""

import pytest

from vaecli.analysis.images import label_number
from vaecli.errors import UsageError

DIGITS = tuple("0123456789")
NAMES = ("flags", "food-drink", "7", "Sandal")


@pytest.mark.parametrize(
    ("label", "names", "number"),
    [
        ("7", DIGITS, 7), (7, DIGITS, 7), ("007", DIGITS, 7), ("flags", NAMES, 0), ("1", NAMES, 1), (2, NAMES, 2), ("7", NAMES, 2),
        ("1", ("2", "1"), 1), (1, ("2", "0"), 1), ("cafe\u0301", ("b", "caf\u00e9"), 1), ("a\nb", ("a", "a\\nb"), 1),
    ],
)  # fmt: skip
def test_a_label_is_given_by_its_name_or_its_number(label, names, number):
    assert label_number(label, names) == number


@pytest.mark.parametrize(
    ("label", "names", "words"),
    [
        ("10", DIGITS, "label=10: expected 0 to 9, the number of a label"),
        ("-1", DIGITS, "label=-1: expected 0 to 9, the number of a label"),
        ("²", DIGITS, "label=²: expected 0 to 9, the number of a label"),
        ("1" * 5000, DIGITS, f"label={'1' * 60}: expected 0 to 9, the number of a label"),
        ("flag", NAMES, "label=flag: expected the name of a label, or its number, 0 to 3; did you mean flags?"),
        ("sandals", NAMES, "label=sandals: expected the name of a label, or its number, 0 to 3; did you mean Sandal?"),
        ("xyz", NAMES, "label=xyz: expected the name of a label, or its number, 0 to 3; such as flags"),
        (4, NAMES, "label=4: expected the name of a label, or its number, 0 to 3; such as flags"),
        ("flags", (), "label=flags: found images without labels; leave label out"),
    ],
)
def test_a_label_that_is_not_there(label, names, words):
    with pytest.raises(UsageError) as caught:
        label_number(label, names)
    assert str(caught.value) == words
