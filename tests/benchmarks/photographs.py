"""A folder of real JPEGs: random crops, of 200 to 1,000 pixels a side, of the photographs in scikit-image and scikit-learn.

    python tests/benchmarks/photographs.py FOLDER COUNT

The same files each time; those of a smaller count are the first of a larger one.
"""

import argparse
from pathlib import Path
from random import Random

import skimage
import sklearn
from PIL import Image

NAMES = (
    "skimage/data/astronaut.png", "skimage/data/chelsea.png", "skimage/data/coffee.png", "skimage/data/hubble_deep_field.jpg",
    "skimage/data/ihc.png", "skimage/data/motorcycle_left.png", "skimage/data/motorcycle_right.png", "skimage/data/retina.jpg",
    "skimage/data/rocket.jpg", "sklearn/datasets/images/china.jpg", "sklearn/datasets/images/flower.jpg",
)  # fmt: skip
LEAST, MOST, QUALITY = 200, 1000, 90

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    packages = {"skimage": Path(skimage.__file__).parent.parent, "sklearn": Path(sklearn.__file__).parent.parent}
    photographs = [Image.open(packages[name.partition("/")[0]] / name).convert("RGB") for name in NAMES]
    random = Random(0)
    for number in range(given.count):
        photograph = photographs[number % len(photographs)]
        width, height = (random.randint(LEAST, min(MOST, side)) for side in photograph.size)
        left, top = random.randint(0, photograph.width - width), random.randint(0, photograph.height - height)
        file = given.folder / f"{number // 1000:03}" / f"{number:06}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            photograph.crop((left, top, left + width, top + height)).save(file, quality=QUALITY)
