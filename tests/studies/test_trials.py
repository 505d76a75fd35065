"""How settings rank."""

from dataclasses import replace

import pytest

from vaecli.studies.trials import DONE, FAILED, PRUNED, RUNNING, Trial, ranked

PLAIN = Trial(0, DONE, 0, 0, {"latent_dim": 2}, "h", -100.0)


def test_settings_rank_by_their_mean_over_seeds():
    values = {0: (-100.0, -110.0), 1: (-101.0, -103.0), 2: (-99.0, -120.0)}
    trials = [
        replace(PLAIN, number=2 * group + seed, group=group, seed=seed, settings={"latent_dim": group}, value=value)
        for group, some in values.items() for seed, value in enumerate(some)
    ]  # fmt: skip
    rows = ranked(trials)
    assert [row.settings["latent_dim"] for row in rows] == [1, 0, 2]
    assert [row.value for row in rows] == [-102.0, -105.0, -109.5]
    assert rows[0].standard_error == pytest.approx(1.0)
    assert [trial.value for trial in rows[2].trials] == [-99.0, -120.0]


def test_settings_without_all_their_seeds_come_last():
    bad = [
        replace(PLAIN, number=1, group=1, seed=0, value=-1.0),
        replace(PLAIN, number=2, group=1, seed=1, state=PRUNED, value=-0.5),
    ]
    failed = replace(PLAIN, number=3, group=2, state=FAILED, value=None, error="the loss became nan")
    rows = ranked([failed, *bad, PLAIN, replace(PLAIN, number=9, group=3, state=RUNNING, value=None)])
    assert [row.trials[0].group for row in rows] == [0, 1, 2]
    assert rows[1].value == -1.0, "a pruned run's bound is of an earlier epoch"
    assert rows[0].standard_error is None
    assert rows[2].value is None
