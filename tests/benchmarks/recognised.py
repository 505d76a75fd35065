"""How often classifiers recognise a model's samples: their most probable digit has more than 0.9.

    python tests/benchmarks/recognised.py RUN RUN...

The report's five classifiers (`vaecli.report.classifier`) judge the means of 2,000 draws of each model's prior, as `vaecli sample`
shows them.
± is the standard error over draws and over classifiers. The last line has what they say of 2,000 test images.
"""

import argparse

from torch import Tensor

import vaecli
from vaecli.report.classifier import Classifier, train_classifier

DRAWS = 2000


def share(classifier: Classifier, pictures: Tensor) -> str:
    recognised = 100 * classifier.recognised(pictures)  # (classifiers, draws)
    variance = recognised.mean(0).var() / recognised.shape[1] + recognised.mean(1).var() / recognised.shape[0]
    return f"{recognised.mean():.1f} ±{variance.sqrt():.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+")
    train, test = (vaecli.load_images("mnist", split) for split in ("train", "test"))
    classifier = train_classifier(train, test)
    print(f"the classifiers are right about {100 * classifier.accuracy:.1f} % of the test images")
    for name in parser.parse_args().runs:
        print(name, share(classifier, vaecli.sample(vaecli.load(name).model, DRAWS).mean))
    print("test images", share(classifier, test[:DRAWS].pixels / 255))


if __name__ == "__main__":
    main()
