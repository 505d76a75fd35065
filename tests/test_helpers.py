"""The combinations that the default run takes hold every pair of values."""

from itertools import combinations, product

import pytest

from tests.helpers import every_combination, pairwise


@pytest.mark.parametrize("sizes", [(2, 2, 4, 5, 3), (3, 3, 3), (6, 2), (4, 1, 4)], ids=str)
def test_every_pair_of_values_is_in_a_row(sizes):
    choices = [[f"{name}{value}" for value in range(size)] for name, size in zip("abcde", sizes, strict=False)]
    rows = pairwise(*choices)
    for first, second in combinations(choices, 2):
        for pair in product(first, second):
            assert any(set(pair) <= set(row) for row in rows), pair
    assert all(value in choice for row in rows for value, choice in zip(row, choices, strict=True))
    # as many as the two largest choices need, and at most half as many again
    least = sorted(sizes)[-1] * sorted(sizes)[-2]
    assert least <= len(rows) <= 1.5 * least


def test_a_pair_alone_is_the_full_product():
    assert sorted(pairwise("ab", "xyz")) == sorted(product("ab", "xyz"))


def test_the_combinations_left_out_are_marked_slow():
    parameters = every_combination("ab", "cd", "ef", "gh")
    assert [parameter.values for parameter in parameters] == list(product("ab", "cd", "ef", "gh"))
    by_default = [parameter.values for parameter in parameters if not parameter.marks]
    assert by_default == sorted(pairwise("ab", "cd", "ef", "gh"))
    assert len(by_default) < 9
    assert {mark.name for parameter in parameters for mark in parameter.marks} == {"slow"}
