"""The places that ``--out`` names: their checks, and the paths of pictures there."""

from collections.abc import Sequence
from pathlib import Path

from vaecli.analysis.defaults import LATENT_SUFFIXES
from vaecli.cli import console
from vaecli.errors import UsageError, VaecliError
from vaecli.plotting.formats import SUFFIXES

OUTPUTS = (
    "sample.png", "between.png", "reconstruct.png", "inpaint.png", "explore.html", "latents.npz", "scores.csv", "scores.png",
    *(f"latent-{kind}.{suffix}" for kind in ("plot", "variance", "manifold", "thumbnails") for suffix in ("png", "csv")),
    *(f"compare-{kind}.png" for kind in ("reconstructions", "samples", "losses", "differences")),
    *(f"{name}.npz" for name in ("samples", "between", "reconstructions")),
    *(f"samples/{kind}-*.png" for kind in ("mean", "draw")), "between/mean-*.png",
    *(f"reconstructions/{kind}-*.png" for kind in ("original", "mean", "draw")),
    *(f"{network}.{suffix}" for network in ("encoder", "decoder") for suffix in ("onnx", "pt2")),
    "compare.csv", "compare-differences.csv", "compare-images.csv",
    "events.out.tfevents.*",
)  # fmt: skip
"""The files that commands write into a run's folder where no other place is given."""


def check_picture_out(out: Path | None) -> Path | None:
    """The value of ``--out`` if one picture can be written there: a folder, or a file in one of the formats."""
    return _check_file_out(out, "pictures", SUFFIXES)


def check_images_out(out: Path | None, files: str | None) -> None:
    """Refuses an ``--out`` where images cannot be written: as one picture, or with ``--as`` as files or arrays."""
    if files == "png":
        check_folder_out(out)
    elif files == "npz":
        _check_file_out(out, "arrays", (".npz",))
    else:
        check_picture_out(out)


def check_latents_out(out: Path | None) -> Path | None:
    """The value of ``--out`` if a file of latents can be written there: a folder, or a file in one of the formats."""
    return _check_file_out(out, "latents", LATENT_SUFFIXES)


def check_page_out(out: Path | None) -> Path | None:
    """The value of ``--out`` if a page can be written there: a folder, or an .html file."""
    return _check_file_out(out, "pages", (".html",))


def _check_file_out(out: Path | None, what: str, suffixes: Sequence[str]) -> Path | None:
    formats = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
    if out is not None and str(out) == "-":
        raise UsageError(f"--out -: {what} are not written to stdout; expected a folder, or a file that ends in {formats}")
    if out is not None and out.suffix and out.suffix.lower() not in suffixes and not out.is_dir():
        raise UsageError(f"--out {out}: expected a folder, or a file that ends in {formats}")
    return out


def check_not_stdout(out: Path | None) -> Path | None:
    """The value of ``--out`` if it is not ``-``, which stands for stdout."""
    if out is not None and str(out) == "-":
        raise UsageError("--out -: files are not written to stdout; expected a folder")
    return out


def check_folder_out(out: Path | None) -> Path | None:
    """The value of ``--out`` if it can be a folder."""
    check_not_stdout(out)
    if out is not None and out.suffix and not out.is_dir():
        raise UsageError(f"--out {out}: expected a folder, since several files are written; found a name with a suffix")
    return out


def picture_path(out: Path | None, folder: Path, name: str) -> Path:
    """The path of a picture: `out` if that names a picture, else `name` in the folder `out` or in the run's folder."""
    return _file_path(out, folder, name, "a picture", SUFFIXES)


def latents_path(out: Path | None, folder: Path) -> Path:
    """The path of a file of latents: `out` if that names one, else ``latents.npz`` in the folder `out` or in the run's folder."""
    return _file_path(out, folder, "latents.npz", "latents", LATENT_SUFFIXES)


def images_folder(out: Path | None, folder: Path, name: str) -> Path:
    """The folder of images that are a file each: `out`, else the folder `name` in the run's."""
    path = folder / name if out is None else out
    if path.exists() and not path.is_dir():
        raise VaecliError(f"{path}: found a file, expected a place for a folder of images; choose another with --out")
    return path


def arrays_path(out: Path | None, folder: Path, name: str) -> Path:
    """The path of a file of arrays: `out` if that names one, else `name` in the folder `out` or in the run's folder."""
    return _file_path(out, folder, name, "arrays", (".npz",))


def page_path(out: Path | None, folder: Path) -> Path:
    """The path of a page: `out` if that names one, else ``explore.html`` in the folder `out` or in the run's folder."""
    return _file_path(out, folder, "explore.html", "a page", (".html",))


def _file_path(out: Path | None, folder: Path, name: str, what: str, suffixes: Sequence[str]) -> Path:
    from vaecli.files import make_folder

    named = out is not None and out.suffix.lower() in suffixes and not out.is_dir()
    path = out if out is not None and named else (out or folder) / name
    if path.is_dir():
        raise VaecliError(f"{path}: found a folder, expected a place for {what}; choose another with --out")
    make_folder(path.parent)
    if path.exists():
        console.note(f"Replacing {path}")
    return path
