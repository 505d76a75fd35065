"""``vaecli train``."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from vaecli import console
from vaecli.commands.options import OUTPUT, RUNS, AsJson, DataDir, Device, Quiet, check_device, example
from vaecli.commands.settings import settings_as_options
from vaecli.config import Config, merge, read_config
from vaecli.errors import CheckpointError, TrainingError, UsageError
from vaecli.runs import MODEL

HELP = example("vaecli train --latent-dim 3 --objective iwae --k 10")


@settings_as_options
def train(
    settings: dict[str, Any],
    data_dir: DataDir = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A run's config.json to repeat; other options change it.", show_default=False, rich_help_panel="Training"
        ),
    ] = None,
    device: Device = "auto",
    name: Annotated[
        str | None,
        typer.Option(help="The run's name; made from the settings if not given.", show_default=False, rich_help_panel=OUTPUT),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder that holds runs.", rich_help_panel=OUTPUT)] = RUNS,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a run of the same name.", rich_help_panel=OUTPUT)] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train nothing: print encoder and decoder layer by layer.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Train a VAE, keep it as a run, and measure it on the test images."""
    console.set_quiet(quiet)
    chosen = Config(**merge(read_config(config), settings) if config else settings)
    if dry_run:
        _print_layers(chosen, as_json)
        return
    folder = out / _checked_name(name or chosen.run_name)
    if (folder / MODEL).exists() and not overwrite:
        raise CheckpointError(f"{folder}: found a run there; train anew with --overwrite, or beside it with --name NAME")

    from vaecli.checkpoint import save_epoch
    from vaecli.data import load_images
    from vaecli.data.labels import hide_labels
    from vaecli.evaluation import evaluate
    from vaecli.files import make_folder
    from vaecli.model import build
    from vaecli.training import batches, diverged, fit, make_optimizer

    where = check_device(device)
    images = load_images(chosen.dataset, "train", data_dir, chosen.limit).to(where)
    if chosen.label_fraction is not None:
        images = hide_labels(images, chosen.label_fraction, chosen.seed)
    test = load_images(chosen.dataset, "test", data_dir).to(where)
    model = build(chosen, images).to(where)
    optimizer = make_optimizer(model, chosen)
    make_folder(folder)
    rows: list[dict[str, Any]] = []
    results: dict[str, float] = {}
    steps = batches(images, chosen)
    console.note(f"Begin training in {chosen.latent_dim}D latent space")
    try:
        with console.bar(chosen.epochs * steps, "batches") as show:
            for record in fit(
                model, optimizer, images, chosen,
                on_batch=lambda epoch, done: show((epoch - 1) * steps + done, f"Epoch {epoch}"),
            ):  # fmt: skip
                tested = evaluate(model, test)
                test_elbo = float(tested.elbo.mean())
                if not math.isfinite(test_elbo):
                    raise diverged(f"epoch {record.epoch}: the test -ELBO", -test_elbo, chosen)
                results = {
                    "epoch": record.epoch,
                    "elbo": record.elbo,
                    "test_elbo": test_elbo,
                    "test_reconstruction": float(tested.reconstruction.mean()),
                    "test_kl": float(tested.kl.mean()),
                }
                rows.append(
                    {
                        "epoch": record.epoch,
                        "loss": record.loss,
                        "elbo": record.elbo,
                        "reconstruction": record.reconstruction,
                        "kl": record.kl,
                        "test_elbo": test_elbo,
                        "seconds": round(record.seconds, 3),
                        "images_per_second": round(record.images_per_second),
                    }
                )
                save_epoch(folder, model, optimizer, rows, results)
                console.note(f"Epoch {record.epoch}: loss {record.loss:.2f}, test -ELBO {-test_elbo:.2f}, {record.seconds:.1f} s")
    except TrainingError as error:
        stands = f"{folder} keeps epoch {len(rows)}" if rows else "nothing was saved yet"
        raise TrainingError(f"{error}; {stands}") from None
    console.note(f"Training in {chosen.latent_dim}D is done: test -ELBO {-results['test_elbo']:.2f} nats on {len(test):,} images")
    if as_json:
        console.result_json({"run": str(folder), **results})
    else:
        console.result(str(folder))


def _print_layers(chosen: Config, as_json: bool) -> None:
    from vaecli.anatomy import layers

    found = layers(chosen)
    if as_json:
        console.result_json({"layers": [asdict(each) for each in found], "parameters": sum(each.parameters for each in found)})
        return
    table = Table(box=None, pad_edge=False, header_style="bold", caption_justify="left", caption_style="")
    for heading in ("layer", "kind", "from", "label", "to", "parameters", "of them from the label"):
        table.add_column(heading, justify="right" if heading.startswith(("parameters", "of")) else "left", no_wrap=True)
    for each in found:
        shapes = [" x ".join(map(str, shape)) for shape in (each.inputs, each.outputs)]
        label = f"+ {each.labels}" if each.labels else ""
        counts = f"{each.parameters:,}", f"{each.label_parameters:,}" if each.labels else ""
        table.add_row(each.name, each.kind, shapes[0], label, shapes[1], *counts)
    total, by_label = (sum(getattr(each, name) for each in found) for name in ("parameters", "label_parameters"))
    table.add_section()
    table.add_row("all", "", "", "", "", f"{total:,}", f"{by_label:,}" if by_label else "")
    console.table(table)


def _checked_name(name: str) -> str:
    if not name or name != Path(name).name or name.startswith(".") or "\0" in name or len(name.encode()) > 200:
        raise UsageError(f"--name {name[:60]}: expected the name of a folder, without '/', such as --name first-try")
    return name
