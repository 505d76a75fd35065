"""``vaecli export``."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from vaecli.cli import console
from vaecli.cli.declare import OUTPUT, examples, optional
from vaecli.cli.options import AsJson, Quiet, RunName
from vaecli.cli.output_paths import check_folder_out
from vaecli.cli.runs import names_and_folders, open_run

HELP = examples("vaecli export --to onnx", "vaecli export baseline --to torch --out FOLDER")


def export(
    run: RunName = None,
    to: Annotated[
        Literal["onnx", "torch"],
        typer.Option(
            help="onnx: encoder.onnx and decoder.onnx; torch: encoder.pt2 and decoder.pt2, for torch.export.load.",
            rich_help_panel=OUTPUT,
        ),
    ] = "onnx",
    out: Annotated[
        Path | None, optional("Folder for the files; the run's folder if not given.", OUTPUT, callback=check_folder_out)
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write encoder and decoder as files that other programs run, after they were compared with the model."""
    console.set_quiet(quiet)
    opened = open_run(run)

    from vaecli.analysis.exporting import export as write

    exported = write(opened, out, to)
    console.note(f"On random inputs they differ from the model by at most {exported.difference:.1e}")
    console.written("export", names_and_folders([opened]), exported.files, as_json, difference=exported.difference)
