"""``vaecli report``."""

import hashlib
import io
import json
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import typer

from vaecli import __version__
from vaecli.cli import console
from vaecli.cli.options import OUTPUT, RUNS, AsJson, Device, Quiet, check_device, example, folder_place, without_effect
from vaecli.cli.training_run import Show, Start, train_run
from vaecli.config import Config, read_config
from vaecli.errors import DataError, Interrupted, UsageError, VaecliError, printable
from vaecli.reading import digest_of
from vaecli.report.definitions import FIGURES, IWAE10, Z2, Figure, Settings, train_command
from vaecli.report.state import State
from vaecli.runs.files import make_folder, write_file
from vaecli.runs.find import CONFIG, FILES, MODEL, read_log, runs_in

HELP = example("vaecli report --only 1,4,13")
QUICK: Settings = {"limit": 2000, "epochs": 1}
STATE, PAGE = "report.json", "index.html"


def report(
    context: typer.Context,
    only: Annotated[
        str | None, typer.Option(metavar="N,N,...", help="These figures only.", show_default=False, rich_help_panel=OUTPUT)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the page and its pictures; report, or report-quick with --quick, if not given.",
            show_default=False,
            rich_help_panel=OUTPUT,
            callback=folder_place,
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, help="Epochs of every run; each figure's own if not given.", show_default=False, rich_help_panel="Training"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="All of it on a small part of the data, for CI.", rich_help_panel="Training")
    ] = False,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train what is missing, draw all figures of the report, and write them as one page with what was measured."""
    console.set_quiet(quiet)
    figures = _chosen(only)
    out = out or Path("report-quick" if quick else "report")
    check_device(device)
    if only and not any(each.trains for each in figures):
        without_effect(context, f"with --only {only}", "epochs", "device")
    make_folder(out)
    change = (dict(QUICK) if quick else {}) | ({"epochs": epochs} if epochs else {})
    missing = _without_data(figures)
    figures = [each for each in figures if not missing or not _needs_fashion(each)]
    wanted = _wanted(figures, change, explored=only is None)
    found = _finished(wanted)
    with console.bar(1000, "of 1000 parts") as show:
        work = _Work(show, sum(_weight(each) for each in wanted if each not in found), len(figures))
        for config in wanted:
            if config not in found:
                found[config] = _trained(config, device, work, quiet)
        state = State.read(out / STATE)
        for figure in figures:
            work.tell(f"Figure {figure.number}")
            runs = [[found[_config(each, change)] for each in some] for some in (figure.trains, figure.also)]
            _bring_up_to_date(figure, runs[0], runs[1], state, out, device, quick, quiet)
            work.drawn += 1
        written = _write_page(figures, found, change, state, out, missing, quick)
    if as_json:
        kept = {str(each.number): state.figures[str(each.number)] for each in figures}
        console.result_json(
            "report",
            [(folder.name, folder) for folder in found.values()],
            [out / PAGE, out / STATE, *(out / picture["path"] for each in kept.values() for picture in each["pictures"])],
            page=str(out / PAGE),
            drawn=state.drawn,
            figures={number: each["finding"] for number, each in kept.items()},
            missing=missing,
        )
    else:
        console.note(
            f"Drew {len(state.drawn)} of {len(figures)} figures; the others were up to date" if written else "All is up to date"
        )
        console.result(str(out / PAGE))
    if missing:
        raise VaecliError(f"a part of the report is missing: {missing[0]}")


def _chosen(only: str | None) -> list[Figure]:
    try:
        numbers = {int(each) for each in only.split(",")} if only is not None else {each.number for each in FIGURES}
    except ValueError:
        numbers = {-1}
    if not numbers or not numbers <= {each.number for each in FIGURES}:
        raise UsageError(
            f"--only {only}: expected numbers of figures, 1 to {len(FIGURES)}, with commas between them, such as --only 1,4,13"
        )
    return [each for each in FIGURES if each.number in numbers]


def _needs_fashion(figure: Figure) -> bool:
    return any(each.get("dataset") == "fashion-mnist" for each in figure.trains)


def _without_data(figures: Sequence[Figure]) -> list[str]:
    """What cannot be drawn since Fashion-MNIST is not there, and how to get it."""
    needing = [str(each.number) for each in figures if _needs_fashion(each)]
    if not needing:
        return []

    from vaecli.data import load_images

    try:
        load_images("fashion-mnist", "test", limit=1)
    except DataError as error:
        return [f"figures {' and '.join(needing)} are not drawn: {error}"]
    return []


def _config(settings: Settings, change: Settings) -> Config:
    return Config(**{**settings, **change})


def _wanted(figures: Sequence[Figure], change: Settings, explored: bool) -> list[Config]:
    """The runs that figures, and with all of them the explorer, need, each once."""
    needed = [each for figure in figures for each in (*figure.trains, *figure.also)] + ([Z2, IWAE10] if explored else [])
    return list(dict.fromkeys(_config(each, change) for each in needed))


def _finished(wanted: Sequence[Config]) -> dict[Config, Path]:
    """The folders of those that are trained already, by whatever name."""
    found: dict[Config, Path] = {}
    for folder in sorted(runs_in(RUNS)):
        try:
            settings, made = read_config(folder / CONFIG)
            config = Config(**settings)
            done = config in wanted and (folder / MODEL).is_file() and len(read_log(folder)) == config.epochs
            done = done and (made is None or made.data.test == _test_digest(config.dataset))
        except VaecliError:
            continue
        if done and (config not in found or folder.name == config.run_name):
            found[config] = folder
    return found


def _weight(config: Config) -> float:
    """About how long a run trains, in epochs of the baseline."""
    return config.epochs * (0.6 + 0.4 * (config.k or 1)) * (6 if config.arch == "conv" else 1)


@dataclass
class _Work:
    """How far all of it is, on one bar."""

    show: Show
    training: float
    drawings: int
    trained: float = 0
    drawn: int = 0
    seconds_each: float = 0.5  # drawing a figure, in epochs of the baseline

    def tell(self, what: str) -> None:
        done = self.trained + self.seconds_each * self.drawn
        self.show(round(1000 * done / max(1e-9, self.training + self.seconds_each * self.drawings)), what)

    @contextmanager
    def run(self, total: int, weight: float, name: str) -> Iterator[Show]:
        before = self.trained

        def tell(done: int, what: str | None = None) -> None:
            self.trained = before + weight * done / total
            self.tell(f"{name} {(what or '').lower()}")

        yield tell
        self.trained = before + weight


def _trained(config: Config, device: str, work: _Work, quiet: bool) -> Path:
    folder = RUNS / config.run_name
    number = 2
    while any((folder / each).exists() for each in FILES) and not _is_of(folder, config):
        folder = RUNS / f"{config.run_name}-{number}"
        number += 1
    console.note(f"Training {folder}")
    try:
        train_run(folder, Start(config), config.to_json(), device, lambda total, _: work.run(total, _weight(config), folder.name))
    except Interrupted as error:
        raise Interrupted(
            "interrupted: what is trained and drawn is kept; go on with the same line again", error.exit_code - 128
        ) from None
    console.set_quiet(quiet)
    return folder


def _is_of(folder: Path, config: Config) -> bool:
    try:
        settings, made = read_config(folder / CONFIG)
        return Config(**settings) == config and (made is None or made.data.test == _test_digest(config.dataset))
    except VaecliError:
        return False


@cache
def _test_digest(dataset: str) -> str:
    """The digest of a data set's own test images."""
    from vaecli.data import load_images

    return load_images(dataset, "test").digest


def _bring_up_to_date(
    figure: Figure, shown: Sequence[Path], also: Sequence[Path], state: State, out: Path, device: str, quick: bool, quiet: bool
) -> None:
    """Draws and measures a figure, unless that was done with the same runs."""
    digests = [_digest(folder) for folder in (*shown, *also)]
    key = hashlib.sha256(json.dumps([__version__, repr(figure), quick, digests]).encode()).hexdigest()
    before = state.figures.get(str(figure.number), {})
    if before.get("key") == key and all((out / each["path"]).is_file() for each in before["pictures"]):
        return

    from PIL import Image

    from vaecli.report.findings import evidence, finding
    from vaecli.runs.checkpoint import load_checkpoint

    start = time.perf_counter()
    words = _words(figure, shown, out, device, quick)
    told = json.loads(_printed([*words, "--json", "--quiet"], quiet))
    text = "" if figure.draws else _printed([*words, "--quiet"], quiet)
    pictures = []
    for path in map(Path, told["files"]):
        with Image.open(path) as picture:
            what = path.stem.removeprefix("compare-") if path.stem.startswith("compare-") else ""
            if what and what not in figure.shows:
                continue
            pictures.append({"path": str(path.relative_to(out)), "width": picture.width, "height": picture.height, "what": what})
    seen = evidence([load_checkpoint(folder) for folder in shown], [load_checkpoint(folder) for folder in also], told)
    state.figures[str(figure.number)] = {
        "key": key, "told": told, "finding": asdict(finding(figure, seen, judged=not quick)), "pictures": pictures, "text": text,
        "device": device,
        "seconds": round(time.perf_counter() - start, 1),
    }  # fmt: skip
    state.drawn.append(figure.number)
    state.keep()


def _digest(folder: Path) -> str:
    return digest_of(folder / MODEL)


def _words(figure: Figure, runs: Sequence[Path], out: Path, device: str, quick: bool) -> list[str]:
    """The words of the command line that draws a figure, as it is run and shown."""
    more: dict[str, str] = {}
    if figure.draw[0] == "compare":
        more |= {} if "--k" in figure.draw else {"--k": "0"}  # no finding needs its bound
        more |= {"--limit": "500"} if quick else {}
    more |= figure.quick if quick else {}
    if figure.draws:
        more |= {"--out": str(out / figure.folder)} | ({} if device == "auto" else {"--device": device})
    return figure.words([str(each) for each in runs], more)


def _printed(words: list[str], quiet: bool) -> str:
    """What a command prints on stdout."""
    from vaecli.cli.app import INTERRUPTED, app

    text = io.StringIO()
    with redirect_stdout(text):
        code = app(args=words, prog_name="vaecli", standalone_mode=False)
    console.set_quiet(quiet)
    if code == INTERRUPTED:  # typer swallows Ctrl-C
        raise KeyboardInterrupt
    return text.getvalue()


def _write_page(
    figures: Sequence[Figure],
    found: dict[Config, Path],
    change: Settings,
    state: State,
    out: Path,
    missing: list[str],
    quick: bool,
) -> bool:
    """Writes the page, unless it is up to date."""
    from vaecli.report.page import VERDICTS, Entry, Picture, assets, render

    kept = [state.figures[str(each.number)] for each in figures]
    explored = [found[config] for config in (_config(each, change) for each in (Z2, IWAE10)) if config in found]
    digests = [_digest(folder) for folder in explored]
    commands = [
        _words(figure, [found[_config(each, change)] for each in figure.trains], out, was["device"], quick)
        for figure, was in zip(figures, kept, strict=True)
    ]
    page = hashlib.sha256(
        json.dumps([assets(), [each["key"] for each in kept], commands, digests, missing, __version__]).encode()
    ).hexdigest()
    if state.page == page and (out / PAGE).is_file():
        return False

    from vaecli.data import load_images
    from vaecli.report.explorer import payload
    from vaecli.runs.checkpoint import load_checkpoint

    entries = [
        Entry(
            each.number, each.title, each.claim, " ".join(filter(None, (was["finding"]["text"], was["finding"]["reading"]))),
            VERDICTS.get(was["finding"]["holds"], ("part", was["finding"]["words"])),
            [Picture(**picture) for picture in was["pictures"]], was["text"], printable(shlex.join(["vaecli", *words])),
        )
        for each, was, words in zip(figures, kept, commands, strict=True)
    ]  # fmt: skip
    rows = [_row(config, folder) for config, folder in found.items()]
    explorer = payload([load_checkpoint(folder) for folder in explored], load_images("mnist", "test")) if explored else None
    html = render(entries, rows, explorer, missing, _versions(), sum(each["seconds"] for each in kept), quick)
    write_file(out / PAGE, html.encode())
    state.page = page
    state.keep()
    return True


def _row(config: Config, folder: Path) -> dict[str, Any]:
    log = read_log(folder)
    given = {name: value for name, value in config.to_json().items() if value != Config().to_json().get(name)}
    owned = {name: value for name, value in given.items() if value is not None and name not in ("binarize", "label_fraction")}
    shown = {name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in owned.items()}
    return {
        "name": printable(folder.name),
        "command": printable(train_command(shown, folder.name if folder.name != config.run_name else None)),
        "seed": config.seed,
        "epochs": config.epochs,
        "loss": f"{-log[-1]['test_elbo']:.2f}",
        "seconds": f"{sum(row['seconds'] for row in log):.1f}",
    }


def _versions() -> str:
    import torch

    parts = f"vaecli {__version__}", f"Python {platform.python_version()}", f"torch {torch.__version__}"
    return ", ".join((*parts, f"{sys.platform} on {platform.machine()}"))
