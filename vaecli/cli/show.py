"""``vaecli show``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from textwrap import wrap
from typing import Any

from vaecli.cli import console
from vaecli.cli.declare import examples
from vaecli.cli.list import epochs_of, settings_in_words, size_of, when
from vaecli.cli.options import AsJson, Quiet, RunName
from vaecli.command_line import resume_line
from vaecli.errors import CheckpointError
from vaecli.evaluation.soundness import sentence
from vaecli.runs.find import RUNS, TRAINING, find_checkpoint, find_folder
from vaecli.runs.listing import ListedRun, listed
from vaecli.runs.rename import begun_with

HELP = examples("vaecli show baseline", "vaecli show --json")


def show(run: RunName = None, quiet: Quiet = False, as_json: AsJson = False) -> None:
    """Show what is known of a run: its settings, bounds, warnings and files, how it was computed, and what it began with."""
    console.set_quiet(quiet)
    folder = find_checkpoint(None, RUNS)[0].parent if run is None else find_folder(run)
    try:
        found = listed(folder)
    except OSError as error:
        raise CheckpointError(f"{error.filename}: went away while it was read; give the same command again") from None
    others = begun_with(folder)
    files = {str(file.relative_to(folder)): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}
    if as_json:
        console.result_json(
            "show", [(found.name, folder)], [], **found.to_json(), **_computed(found), results=found.record.results,
            begun_with_it=list(map(str, others)), contents=files,
        )  # fmt: skip
        return
    if run is None:
        console.note(f"The newest run, {folder}")
    lines = [*_lines(found), *(("began with it", str(other)) for other in others)]
    lines += [("file", f"{name}, {size_of(size)}") for name, size in files.items()]
    left = max(len(name) for name, _ in lines) + 2
    room = console.stdout.width - left if console.stdout.is_terminal else 0
    for name, text in lines:
        broken = wrap(text, max(room, 20), break_long_words=False, break_on_hyphens=False) if room else [text]
        for number, line in enumerate(broken or [""]):
            console.result(f"{'' if number else name:<{left}}{line}")


def _computed(run: ListedRun) -> dict[str, Any]:
    """The images of a run and how it was computed, as JSON has them."""
    it = run.record.provenance
    if it is None:
        return {"images": None, "computed": None, "members": []}
    names = ("device", "precision", "threads", "processes", "torch")
    return {
        "images": asdict(it.data),
        "computed": {name: getattr(it, name) for name in names},
        "members": [{"family": member.family, "name": member.name, "source": member.source} for member in it.members],
    }


def _lines(run: ListedRun) -> Iterator[tuple[str, str]]:
    """What is known of a run, under names."""
    record, results = run.record, run.record.results
    yield "run", str(run.path)
    yield "saved", f"{when(run.saved)}, {size_of(run.bytes)}"
    yield "epochs", epochs_of(run)
    if run.split is not None and run.elbo is not None:
        parts = {"reconstruction": results.get(f"{run.split}_reconstruction"), "KL": results.get(f"{run.split}_kl")}
        more = ", ".join(f"{name} {value:.2f}" for name, value in parts.items() if value is not None)
        yield f"{run.split} -ELBO", f"{-run.elbo:.2f}" + (f" ({more})" if more else "")
    for name, numbers in record.warnings.items():
        yield "warning", sentence(name, numbers)
    if not run.finished and not results.keys() & {"diverged_epoch"} and (not results or (run.path / TRAINING).exists()):
        yield "goes on with", resume_line(run.path, RUNS)
    changed = {name: value for name, value in run.config.to_json().items() if name in run.differing}
    yield "differs in", settings_in_words(changed) or "nothing: all settings are the defaults"
    yield "settings", settings_in_words(run.config.to_json())
    if record.provenance:
        it = record.provenance
        yield "images", it.data.folder or "from the data set's own place"
        counts = f"{it.threads} thread{'s' * (it.threads != 1)}" + f", {it.processes} processes" * (it.processes > 1)
        yield "computed", f"on {it.device} in {it.precision}, {counts}, torch {it.torch}"
        if it.started_from:
            epochs = it.started_from.epochs
            yield "began with", f"{it.started_from.folder}, after {epochs:,} epoch{'s' * (epochs != 1)}"
        for member in it.members:
            yield f"{member.family} {member.name}", member.source or "an object of Python"
