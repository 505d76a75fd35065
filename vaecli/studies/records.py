"""Trials and plans in Optuna's words: what is written beside a trial, and what settings are sampled from."""

import math
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from vaecli.errors import VaecliError, shown
from vaecli.studies.plan import Plan
from vaecli.studies.trials import DONE, FAILED, LOST, PRUNED, RUNNING, Trial

ABOUT, ENDED, ERROR, WHY = "vaecli", "ended", "error", "lost"
"""Names of what is written beside a trial."""

_KINDS: dict[str, type | tuple[type, ...]] = {"group": int, "seed": int, "settings": dict, "worker": str, "host": str}
_KINDS_AT_END: dict[str, type | tuple[type, ...]] = {"path": str, "seconds": (int, float)}

_STATES = {
    TrialState.WAITING: LOST,
    TrialState.RUNNING: RUNNING,
    TrialState.COMPLETE: DONE,
    TrialState.PRUNED: PRUNED,
    TrialState.FAIL: LOST,
}


def read_trial(trial: FrozenTrial, plan: Plan) -> Trial:
    """A trial of Optuna's as this package sees it.

    Raises:
        VaecliError: it is not as this package writes it; others can write into the storage too.
    """
    about, ended, error, why = (trial.user_attrs.get(key) for key in (ABOUT, ENDED, ERROR, WHY))
    about, ended = {} if about is None else about, {} if ended is None else ended
    value = trial.value if trial.state.is_finished() else None
    state = FAILED if error is not None and trial.state == TrialState.FAIL else _STATES[trial.state]
    wrong = (
        _differs(about, _KINDS, _KINDS.keys())
        or _differs(ended, _KINDS_AT_END, set())
        or next((f"a reason {text!r}" for text in (error, why) if not isinstance(text, str | None)), "")
        or (f"the bound {value!r}" if not _is_bound(value, state) else "")
        or _foreign(trial, about, plan)
        or ("a path with a zero byte" if "\0" in ended.get("path", "") else "")
    )
    if wrong:
        raise VaecliError(
            f"{{name}}: trial {trial.number} in the storage is damaged, or not of vaecli (found {wrong[:100]}); choose another "
            "search with {name=NAME}", name=plan.name,
        )  # fmt: skip
    return Trial(trial.number, state, **about, value=value, error=error or why, **ended)


def _is_bound(value: Any, state: str) -> bool:
    return state != DONE if value is None else isinstance(value, int | float) and math.isfinite(value)


def _differs(found: Any, kinds: dict[str, type | tuple[type, ...]], needed: Any) -> str:
    """What is wrong with a record; empty where nothing is."""
    if not isinstance(found, dict) or not set(needed) <= found.keys() <= kinds.keys():
        return f"the record {found!r}"
    for name, value in found.items():
        if not isinstance(value, kinds[name]) or isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            return f"{name} {value!r}"
    return ""


def _foreign(trial: FrozenTrial, about: dict[str, Any], plan: Plan) -> str:
    """What of a trial is not of the plan; empty where all is."""
    space, settings = plan.space, about["settings"]
    of_list = not space.ranges  # of a range there may have been more trials
    if about["group"] < 0 or (of_list and about["group"] >= plan.groups) or about["seed"] not in space.seeds:
        return f"group {about['group']!r} and seed {about['seed']!r}"
    names = space.lists.keys() | space.ranges.keys()
    known = [trial.params, plan.combinations[about["group"]]] if of_list else [trial.params]
    if any(params.keys() != names or settings != space.rounded(params) for params in known):
        return f"the settings {settings!r}"
    for name, value in settings.items():
        if name in space.lists:
            fits = any(value == one and type(value) is type(one) for one in space.lists[name])
        else:
            span = space.ranges[name]
            fits = isinstance(value, int | float) and not isinstance(value, bool) and span.low <= value <= span.high
        if not fits:
            return f"{name} {value!r}"
    return ""


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
