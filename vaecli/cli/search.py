"""``vaecli search``."""

import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaecli.cli import console
from vaecli.cli.declare import OUTPUT, example, flag_option, optional
from vaecli.cli.options import AsJson, DataDir, Device, Quiet, without_effect
from vaecli.cli.output_paths import check_not_stdout
from vaecli.cli.search_settings import as_searched
from vaecli.cli.search_table import bound_of, heading, line, table, tested
from vaecli.cli.secrets import forget_password
from vaecli.cli.setting_options import settings_as_options
from vaecli.cli.signals import Interruption
from vaecli.errors import Interrupted
from vaecli.runs.find import RUNS
from vaecli.studies.plan import TRIALS, Plan

if TYPE_CHECKING:
    from vaecli.studies.search import Outcome
    from vaecli.studies.trials import Trial

HELP = example("vaecli search --latent-dim 2,3,5,10,20 --seed 0,1,2")
SEARCH = "Search"


@partial(settings_as_options, option_of=as_searched)
def search(
    context: typer.Context,
    settings: dict[str, Any],
    by: Annotated[
        str, typer.Option(metavar="elbo|L_k", help="Bound on the validation images to choose by.", rich_help_panel=SEARCH)
    ] = "elbo",
    trials: Annotated[
        int | None, optional(rf"Runs, where there is a range. [dim]\[default: {TRIALS} for each seed][/dim]", SEARCH)
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
    name: Annotated[str | None, optional("The search's name; made from the settings if not given.", OUTPUT)] = None,
    out: Annotated[Path, typer.Option(help="Folder that holds runs.", rich_help_panel=OUTPUT, callback=check_not_stdout)] = RUNS,
    dry_run: Annotated[bool, flag_option("--dry-run", "Train nothing: list the trials and estimate their time.", OUTPUT)] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Train a run for each of many settings, and choose the best by images that were held out of training."""
    console.set_quiet(quiet)
    forget_password(storage)
    plan = Plan.of(
        settings, out, name=name, by=by, trials=trials, prune=prune, storage=storage, data_dir=data_dir, device=device
    )  # fmt: skip
    if dry_run:
        without_effect(context, "with --dry-run", "storage", "prune")
        from vaecli.cli.search_plan import print_plan

        print_plan(plan, workers, as_json)
        return

    outcome = _carried_out(plan, workers)
    from vaecli.plotting.search import save_search

    picture = plan.folder / "search.png"
    save_search(picture, outcome)
    if as_json:
        console.result_json(
            "search", [(trial.name, Path(trial.path)) for trial in outcome.trials if trial.path], [picture], **outcome.to_json()
        )
        return
    console.table(table(outcome))
    console.note(tested(outcome))
    console.print_paths([picture, outcome.path])


def _carried_out(plan: Plan, workers: int) -> "Outcome":
    from vaecli.studies.search import carry_out
    from vaecli.studies.worker import Listener

    names = ", ".join(name.replace("_", " ") for name in plan.space.varied)
    held_out = f"the last {plan.any_config.validation or 0:,} training images"
    console.note(f"Searching {names}: {plan.total:,} trials, by {bound_of(plan)} on {held_out}; kept in {plan.folder}")
    console.note(heading(plan))
    done = 0
    with Interruption() as interruption, console.bar("trials", plan.total) as bar:

        def progress(share: float, total: int, what: str) -> None:
            bar(share, what, total)

        def ended(trial: "Trial") -> None:
            nonlocal done
            done += 1
            console.note(line(plan, trial))

        try:
            return carry_out(plan, workers, Listener(console.note, ended, progress, interruption.held))
        except KeyboardInterrupt:
            message = f"interrupted: {done} of {plan.total} trials are done; go on with the same line again"
            raise Interrupted(message, interruption.signal or signal.SIGINT) from None
