"""What many pictures cost before any is opened: as files, in tar shards, and as rows of what is kept of them.

    python tests/benchmarks/shards.py /tmp/many --count 100000
    python tests/benchmarks/shards.py /tmp/many --rows 1000000

The pictures are digits as PNG files of some 300 bytes, 1,000 in a folder or shard, which webdataset writes. Each line is measured
in a process of its own; rows are made up, with names of 25 letters.
"""

import argparse
import io
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

EACH = 1000


def make(place: Path, count: int) -> None:
    import webdataset
    from PIL import Image

    from vaecli.data import load_images

    data = []
    for pixels in load_images("mnist", "train", limit=min(count, 60_000)).pixels:
        file = io.BytesIO()
        Image.fromarray(pixels.view(28, 28).numpy()).save(file, "PNG")
        data.append(file.getvalue())
    (place / "shards").mkdir(parents=True)
    with webdataset.ShardWriter(f"{place}/shards/%05d.tar", maxcount=EACH, verbose=0) as shards:
        for number in range(count):
            key = f"{number // EACH:05}/{number:08}"
            if number % EACH == 0:
                (place / "files" / key).parent.mkdir(parents=True)
            (place / "files" / f"{key}.png").write_bytes(data[number % len(data)])
            shards.write({"__key__": key, "png": data[number % len(data)]})


def folder(place: Path, count: int) -> str:
    from vaecli.data.tree import find_pictures

    return f"{len(find_pictures(place / 'files').stamps):,} files listed, and looked at for changes"


def shards(place: Path, count: int) -> str:
    from vaecli.data.shards import expand, tree_of

    index, files = place / "index", expand(place / "shards" / "*.tar")
    known = (index / "shards.index").exists()
    index.mkdir(exist_ok=True)
    tree = tree_of(place / "shards" / "*.tar", files, index, lambda text: None)
    return f"{len(tree.stamps):,} members of {len(files):,} shards, {'as listed before' if known else 'listed'}"


def store_of(place: Path, count: int):
    from vaecli.data.prepared import Store
    from vaecli.data.tree import Member, Tree
    from vaecli.image_shape import ImageShape

    stamp = 1_500_000_000, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789
    members = {f"train/n{number % 1000:08}/{number:09}.jpg": Member(0, number * 150_000, 110_000) for number in range(count)}
    tree = Tree(place, tuple(members), frozenset(), Counter(), 0, (), ((place / "0.tar", stamp),), members)
    return Store(place, tree, ImageShape(1, 1, 1)), tree.pictures


def written(place: Path, count: int) -> str:
    from vaecli.data.crop import Cropped
    from vaecli.data.prepared import Counts, Pictures, Rows

    store, names = store_of(place, count)
    place.mkdir(exist_ok=True)
    (place / "rows.pixels").unlink(missing_ok=True)
    rows = Rows(place / "rows.pixels", 1, count)
    rows.append(bytes(count))
    rows.count = count
    cropped = [Cropped(b"", (640, 480), True, True)] * count
    store.write(
        ["rows"], rows, Pictures(rows.finish(), list(names), Counts.of(names, cropped), [], [], (0.0, 255.0), "0" * 64), cropped
    )
    return f"{count:,} rows written, {(place / 'rows.json').stat().st_size / 1e6:,.0f} MB"


def found(place: Path, count: int) -> str:
    store, _ = store_of(place, count)
    return f"{count:,} rows {'found' if store.find('rows') else 'not found'} unchanged"


MEASURED: dict[str, Callable[[Path, int], str]] = {step.__name__: step for step in (folder, shards, written, found)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("place", type=Path)
    parser.add_argument("--count", type=int)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--step", choices=MEASURED, help=argparse.SUPPRESS)
    given = parser.parse_args()
    count = given.count or given.rows or 0
    if given.step:
        import vaecli.data.folder  # noqa: F401

        before, memory = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        text = MEASURED[given.step](given.place, count)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
        print(f"{text:60}{time.process_time() - before:8.1f} s of a processor{more / 1e3:9,.0f} MB of memory")
    else:
        if given.count and not (given.place / "shards").exists():
            make(given.place, given.count)
        (given.place / "index" / "shards.index").unlink(missing_ok=True)
        for step in ("folder", "shards", "shards") if given.count else ("written", "found"):
            words = ["--count" if given.count else "--rows", str(count), "--step", step]
            subprocess.run([sys.executable, __file__, str(given.place), *words], check=True)
