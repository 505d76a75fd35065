"""Trials and plans in Optuna's words: what is written beside a trial, and what settings are sampled from."""

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from vaecli.errors import shown
from vaecli.studies.plan import Plan
from vaecli.studies.trials import DONE, FAILED, LOST, PRUNED, RUNNING, Trial

ABOUT, ENDED, ERROR, WHY = "vaecli", "ended", "error", "lost"
"""Names of what is written beside a trial."""

_STATES = {TrialState.RUNNING: RUNNING, TrialState.COMPLETE: DONE, TrialState.PRUNED: PRUNED, TrialState.FAIL: LOST}


def read_trial(trial: FrozenTrial) -> Trial:
    """A trial of Optuna's as this package sees it."""
    about, ended, error, why = (trial.user_attrs.get(key) for key in (ABOUT, ENDED, ERROR, WHY))
    about = about or {}
    state = FAILED if error is not None and trial.state == TrialState.FAIL else _STATES[trial.state]
    return Trial(
        trial.number, state, **about, value=trial.value if trial.state.is_finished() else None, error=error or why, **(ended or {})
    )


def distributions_of(plan: Plan) -> dict[str, BaseDistribution]:
    """What Optuna samples a plan's settings from, by setting."""
    made: dict[str, BaseDistribution] = {name: CategoricalDistribution(values) for name, values in plan.space.lists.items()}
    for name, span in plan.space.ranges.items():
        whole = isinstance(span.low, int) and isinstance(span.high, int)
        kind = IntDistribution if whole else FloatDistribution
        made[name] = kind(span.low, span.high, log=span.log)  # type: ignore[arg-type]
    return made


def difference(kept: Any, wanted: dict[str, Any]) -> str:
    """Where two identities first differ; empty where they do not."""
    kept = kept if isinstance(kept, dict) else {}
    for key in (*wanted, *kept):
        before, now = kept.get(key), wanted.get(key)
        if before != now:
            if isinstance(before, dict) and isinstance(now, dict):
                name = next(name for name in (*now, *before) if before.get(name) != now.get(name))
                return f"{name} {shown(before.get(name, 'default'))}, not {shown(now.get(name, 'default'))}"
            return "other images" if key == "data" else f"{key} {shown(before)}, not {shown(now)}"
    return ""
