"""``vaecli search``."""

import math
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.cli import console
from vaecli.cli.console import duration
from vaecli.cli.declare import OUTPUT, SEARCH, examples, flag_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Quiet, RunsFolder, without_effect
from vaecli.cli.search_table import bound_of, heading, line, table, tested
from vaecli.cli.signals import Interruption
from vaecli.cli.tables import Table, print_table
from vaecli.command_line import as_option
from vaecli.errors import Interrupted, format_value
from vaecli.runs.find import RUNS
from vaecli.studies.plan import TRIALS, Plan

if TYPE_CHECKING:
    from vaecli.data.summary import DataSummary
    from vaecli.studies.run_plan import Outcome
    from vaecli.studies.trials import Trial

HELP = examples(
    "vaecli search --latent-dim 2,3,5,10,20 --seed 0,1,2",
    "vaecli search --lr 1e-4:1e-2 --hidden 500 --trials 30 --prune",
    "vaecli search --objective elbo,iwae,dreg --workers 4 --dry-run",
)
EVERYDAY = ("dataset", "latent_dim", "objective", "lr", "seed", "trials", "workers", "dry_run")


def search(
    context: typer.Context,
    settings: dict[str, Any],
    by: Annotated[
        str, typer.Option(metavar="elbo|L_k", help="Bound on the validation images to choose by.", rich_help_panel=SEARCH)
    ] = "elbo",
    trials: Annotated[
        int | None, optional("Runs, where there is a range.", SEARCH, show_default=f"{TRIALS} for each seed")
    ] = None,
    prune: Annotated[
        bool, flag_option("--prune", "Stop a run whose bound after an epoch is below the median of the others'.", SEARCH)
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Processes here; they share the cores.", rich_help_panel=SEARCH)
    ] = 1,
    storage: Annotated[
        str | None,
        optional(
            "postgresql://USER@HOST/DATABASE, for workers on many machines; a SQLite file if not given. A password goes into "
            "PGPASSWORD or ~/.pgpass.", SEARCH, metavar="URL",
        ),
    ] = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    name: Annotated[str | None, optional("The search's name; made from the settings if not given.", OUTPUT, metavar="NAME")] = None,
    out: RunsFolder = RUNS,
    dry_run: Annotated[bool, flag_option("--dry-run", "Train nothing: list the trials and estimate their time.", OUTPUT)] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Train a run for each of many settings, and choose the best by images that were held out of training.

    A setting takes one value, several with commas between them, or a range of numbers, LOW:HIGH, from which trials are drawn.
    """
    console.set_quiet(quiet)
    plan = Plan.of(
        settings, out, name=name, by=by, trials=trials, prune=prune, storage=storage, data_dir=data_dir, device=device
    )  # fmt: skip
    if dry_run:
        without_effect(context, "with --dry-run", "storage", "prune")
        _print_plan(plan, workers, as_json)
        return

    outcome = _run_plan(plan, workers)
    from vaecli.plotting.search_plot import save_search

    picture = plan.folder / "search.png"
    save_search(picture, outcome)
    if as_json:
        console.result_json(
            "search", [(trial.name, Path(trial.path)) for trial in outcome.trials if trial.path], [picture], **outcome.to_json()
        )
        return
    print_table(table(outcome))
    console.note(tested(outcome))
    console.print_paths([picture, outcome.path])


def _run_plan(plan: Plan, workers: int) -> "Outcome":
    from vaecli.cli.reading import reader
    from vaecli.studies.run_plan import run_plan
    from vaecli.studies.storage import address_of
    from vaecli.studies.trainer import SearchCallbacks

    names = ", ".join(name.replace("_", " ") for name in plan.space.varied)
    held_out = f"the last {plan.any_config.validation or 0:,} training images"
    console.note(f"Searching {names}: {plan.total:,} trials, by {bound_of(plan)} on {held_out}; kept in {plan.folder}")
    if plan.storage and address_of(plan.storage).secrets:
        console.note("Others on this machine see the password in --storage with ps; PGPASSWORD or ~/.pgpass keeps it from them")
    console.note(heading(plan))
    done = 0
    with Interruption() as interruption, console.bar("%", plan.total) as bar:

        def progress(share: float, total: int, what: str) -> None:
            bar(share, f"Run {min(max(1, math.ceil(share)), total)} of {total}: {what}", total)

        def show_data(summary: "DataSummary") -> None:
            for text in summary.lines(as_option):
                console.note(text)

        def ended(trial: "Trial") -> None:
            nonlocal done
            done += 1
            console.note(line(plan, trial))

        try:
            return run_plan(plan, workers, SearchCallbacks(console.note, show_data, ended, progress, interruption.held), reader())
        except KeyboardInterrupt:
            message = f"interrupted: {done} of {plan.total} trials are done; go on with the same line again"
            raise Interrupted(message, interruption.signal or signal.SIGINT) from None


def _print_plan(plan: Plan, workers: int, as_json: bool) -> None:
    """Prints the trials of a plan, with their estimated seconds."""
    from vaecli.studies.estimate import estimate

    with console.bar("%", 1, "timing a few steps") as bar:
        seconds = estimate(plan, workers, bar)
    seeds = plan.space.seeds
    sampled = bool(plan.space.ranges)
    total = (sum(seconds) / len(seconds) * plan.total if sampled else sum(seconds) * len(seeds)) / workers
    if as_json:
        trials = [] if sampled else [
            {"settings": values, "seed": seed, "seconds": round(spent, 1)}
            for seed in seeds for values, spent in zip(plan.combinations, seconds, strict=True)
        ]  # fmt: skip
        console.result_json(
            "search", [], [], name=plan.name, by=plan.by, trials=plan.total, seconds=round(total, 1), planned=trials,
            ranges={name: str(span) for name, span in plan.space.ranges.items()},
        )  # fmt: skip
        return
    print_table(_sampled(plan) if sampled else _listed(plan, seconds))
    console.result(f"{plan.total:,} trials, about {duration(total)} with {workers} worker{'s' if workers > 1 else ''} here")


def _listed(plan: Plan, seconds: list[float]) -> Table:
    made = Table.of([*(name.replace("_", " ") for name in plan.space.varied), "about"], [])
    for seed in plan.space.seeds:
        for values, spent in zip(plan.combinations, seconds, strict=True):
            made.add_row(*(format_value(seed if name == "seed" else values[name]) for name in plan.space.varied), duration(spent))
    return made


def _sampled(plan: Plan) -> Table:
    made = Table.of(["setting", "values", ""], [])
    for name, span in plan.space.ranges.items():
        made.add_row(name.replace("_", " "), str(span), "sampled by TPE" + (", logarithmic" if span.log else ""))
    for name, values in plan.space.lists.items():
        made.add_row(name.replace("_", " "), ",".join(map(format_value, values)), "sampled by TPE")
    if len(plan.space.seeds) > 1:
        made.add_row("seed", ",".join(map(str, plan.space.seeds)), "all of them with every sample")
    return made
