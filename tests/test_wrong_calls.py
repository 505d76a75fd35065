"""Wrong calls of every public function: each argument of a wrong kind, out of bounds, of a wrong shape, empty or NaN.

They end in one line.

A right call, and for each of its arguments the values that are wrong for it. The last tests show that the right calls are right.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import vaecli
from tests.helpers import BASELINE
from vaecli.analysis.comparison import loss_curve, show_run
from vaecli.analysis.encoding import latents_of
from vaecli.analysis.images import choose_images, label_number
from vaecli.analysis.latents import cloud, manifold, variances
from vaecli.analysis.masks import half
from vaecli.data.images import Images
from vaecli.distributions.bernoulli import Bernoulli
from vaecli.evaluation.importance import evaluate, importance_bound
from vaecli.evaluation.quadrature import exact_log_prob
from vaecli.image_shape import GREY_28, ImageShape
from vaecli.model import VAE, build
from vaecli.plotting.grids import Panel, save_panels
from vaecli.plotting.panels import save_manifolds, save_samples
from vaecli.plotting.plots import save_clouds, save_curves, save_variances
from vaecli.plotting.thumbnails import save_thumbnails
from vaecli.runs.run import names_of, read_run

BLACK = torch.zeros(4, 784, dtype=torch.uint8)
NUMBERS = torch.arange(4)
NAMES = tuple("0123456789")
DIGITS = Images(BLACK, NUMBERS, NAMES)
RUN = read_run(BASELINE)
MODEL = RUN.model
LABELLED = build(vaecli.Config(labels="full", hidden=(3,))).eval()
WIDE = build(vaecli.Config(latent_dim=3, hidden=(3,))).eval()
SMALL = Images(torch.zeros(4, 64, dtype=torch.uint8), NUMBERS, NAMES, ImageShape(1, 8, 8))
COLOURED = Images(torch.zeros(4, 3 * 784, dtype=torch.uint8), NUMBERS, NAMES, ImageShape(3, 28, 28))
FEW_LABELS = Images(BLACK, NUMBERS, NAMES[:4])
CLOUD = cloud(MODEL, DIGITS)
SCORES = vaecli.score(MODEL, DIGITS, by="L_2")
NAN = math.nan

OBJECT = object()
MODELS = [None, 5, "baseline", RUN, vaecli.Config(), nn.Linear(2, 2), DIGITS, VAE]
IMAGES = [None, 5, "mnist", BLACK, np.zeros((4, 784), np.uint8), [DIGITS], MODEL, DIGITS[:0], SMALL, COLOURED]
COUNTS = [0, -1, 1.5, 2.0, "3", True, NAN, math.inf, [1], 10**30, torch.tensor(3), OBJECT]
SEEDS = [-1, 1.5, "0", None, NAN, 2**63, True, [0]]
PATHS = ["", 5, b"name", "a\0b", [], 1.5, True]
BOOLS = [None, 1, "yes", 0.5, []]
FUNCTIONS = [5, "print", [print]]
LABELS = [(10,), (-1,), (0.5,), ("3",), 3, "3", (NAN,), None, (True,)]
WORDS = [5, None, "x", "", ["test"], NAN, True]
DEVICES = ["x", "", 5, None, "gpu", ["cpu"], torch.device("cpu")]
RUNS = [None, 5, "baseline", MODEL, DIGITS]
TENSORS = [None, 5, "x", np.zeros((4, 784)), BLACK, torch.zeros(4, 783), torch.zeros(()), torch.zeros(4, 784, dtype=torch.int64)]

OUT = Path("picture.png")
FILES = [5, None, "picture.png", Path("picture.xyz"), Path("picture"), OBJECT]
ONE = {"model": MODEL, "images": DIGITS}
BOTH = {"model": MODELS, "images": IMAGES}

CALLS = {
    "sample": (vaecli.sample, {"model": MODEL}, {"model": MODELS, "n": COUNTS, "labels": [(3,), "3", 3], "seed": SEEDS}),
    "sample of labels": (vaecli.sample, {"model": LABELLED}, {"labels": LABELS, "n": COUNTS}),
    "reconstruct": (vaecli.reconstruct, ONE, BOTH | {"labels_known": BOOLS, "seed": SEEDS}),
    "reconstruct with labels": (vaecli.reconstruct, ONE | {"model": LABELLED}, {"images": [*IMAGES, FEW_LABELS]}),
    "encode": (vaecli.encode, ONE, BOTH),
    "score": (
        vaecli.score, ONE, BOTH | {"by": [5, "x", "", "L_0", "elbo", None, ["L_5"], NAN], "marginal_labels": [*BOOLS, True],
                                   "on_image": FUNCTIONS},
    ),
    "auroc": (vaecli.auroc, {"scores": SCORES, "others": SCORES}, {
        "scores": [None, 5, [0.5], DIGITS, SCORES.log_p], "others": [None, SCORES.log_p, replace(SCORES, by="L_5")]}),
    "between": (
        vaecli.between,
        {"model": MODEL, "a": DIGITS[:1], "b": DIGITS[1:2]},
        {"model": MODELS, "a": [*IMAGES, DIGITS], "b": [*IMAGES, DIGITS], "n": [1, *COUNTS],
         "path": [5, None, "x", "", ["straight"], NAN], "label": [0, 3, "3", 1.5, True]},
    ),
    "measure": (
        vaecli.measure,
        ONE,
        BOTH | {"k": [5, "5", (0,), (1.5,), (5, NAN), ("5",), None, (True,), [-1], (10**30,), {5}], "exact": BOOLS,
                "proposal": [5, None, "x", "prior", ["mixture"]], "repeats": COUNTS, "marginal_labels": [*BOOLS, True],
                "draws": COUNTS, "on_share": FUNCTIONS},
    ),
    "measure exactly": (vaecli.measure, ONE | {"k": (), "exact": True}, {"model": [*MODELS, WIDE]} | {"exact": BOOLS}),
    "measure labels": (
        vaecli.measure,
        ONE | {"model": LABELLED, "marginal_labels": True, "k": (2,)},
        {"images": [*IMAGES, FEW_LABELS, Images(BLACK, torch.full((4,), -1), ())]},
    ),
    "inpaint": (
        vaecli.inpaint,
        ONE | {"images": DIGITS[:1], "train": DIGITS, "starts": 0, "steps": 1},
        BOTH | {"train": IMAGES, "draws": COUNTS, "kind": ["x", "Mean", 5, None, "", ["mean"]], "steps": COUNTS, "seed": SEEDS,
                "ais": BOOLS, "starts": [-1, 1.5, "3", None, True, NAN, 10**30], "on_image": FUNCTIONS,
                "observed": ["middle", "", 5, None, torch.ones(784), torch.ones(784, dtype=torch.bool), torch.ones(3) > 0,
                         torch.zeros(784, dtype=torch.bool), np.ones(784, bool), ["top"]]},
    ),
    "explore": (
        vaecli.explore,
        {"runs": [RUN], "images": [DIGITS]},
        {"runs": [RUN, [], [MODEL], None, "baseline", [RUN, RUN], 5, [None], ["baseline"]],
         "images": [DIGITS, [], [BLACK], None, [SMALL], [DIGITS[:0]], [DIGITS, DIGITS], [COLOURED], 5]},
    ),
    "load": (vaecli.load, {"run": BASELINE}, {"run": [*PATHS, RUN, "nowhere", Path("nowhere")], "root": [*PATHS, None]}),
    "load_images": (
        vaecli.load_images,
        {"dataset": "mnist", "split": "test", "limit": 3},
        {"dataset": [*WORDS, "mnits", RUN], "split": [*WORDS, "valid", "Test"], "data_dir": [*PATHS, "nowhere"], "limit": COUNTS,
         "image_size": [*COUNTS, 3, 257, 27], "colour": [5, "", "x", True, ["grey"], "rgb"]},
    ),
    "train": (
        vaecli.train,
        {"config": vaecli.Config(epochs=1, limit=5), "folder": "run"},
        {"config": [None, 5, "x", {"epochs": 1}, RUN, vaecli.Config], "folder": [*PATHS, None, RUN],
         "data_dir": [*PATHS, "nowhere"], "device": DEVICES, "resume": BOOLS, "overwrite": BOOLS,
         "threads": [0, -1, 1.5, "2", True, NAN, 10**6], "read": FUNCTIONS,
         "images": [5, "x", [], {}, [None], NAN, np.zeros(3), np.zeros((4, 4, 4, 4, 4)), np.full((4, 4, 4), NAN), object(),
                    np.array(["a"])],
         "labels": [[0], 5, "x"], "test_images": [BLACK], "test_labels": [[0]]},
    ),
    "train on an array": (
        vaecli.train,
        {"config": vaecli.Config(epochs=1), "folder": "run", "images": BLACK},
        {"config": [vaecli.Config(dataset="cifar10")], "data_dir": [".", "x"], "read": [print],
         "labels": [5, "x", [0], [0.5] * 4, [-2] * 4, [None] * 4, torch.zeros(4, 2), {}, [[1], [2, 3]]],
         "test_images": [5, "x", [], torch.zeros(4, 9), np.zeros((4, 28, 27)), BLACK[:0]], "test_labels": [[0]]},
    ),
    "search": (
        vaecli.search,
        {"settings": {"latent_dim": [2, 3], "epochs": 1, "limit": 9, "validation": 9}},
        {"settings": [None, 5, "x", [], {}, {"latent_dim": 2}, {"latnet_dim": [2, 3]}, {5: [2, 3]}, {"latent_dim": [2, "x"]},
                      {"latent_dim": [2, NAN]}, {"latent_dim": [[2], [3]]}, {"seed": [0, 1.5]}, {"latent_dim": {2, 3}},
                      {"lr": vaecli.Range(2, 1)}, {"latent_dim": vaecli.Range(1.5, 2)}, {"arch": vaecli.Range(1, 2)}],
         "out": [*PATHS, None], "name": ["", "a/b", 5, ".", "..", "a\0b", True, "x" * 300], "by": ["x", 5, None, "L_0", "L_", ""],
         "trials": [0, -1, 1.5, "3", True, 5], "prune": [*BOOLS, True], "storage": ["x", 5, "", True, "mysql://x/y"],
         "workers": [0, -1, 1.5, "2", None, True, 1000], "data_dir": [*PATHS, "nowhere"], "device": DEVICES},
    ),
    "Range": (vaecli.Range, {"low": 1, "high": 2}, {
        "low": ["1", None, NAN, math.inf, -math.inf, 10**400, [1]], "high": ["2", None, NAN, True, [2]]}),
    "Images": (
        Images,
        {"pixels": BLACK, "labels": NUMBERS, "class_names": NAMES},
        {"pixels": [*TENSORS[:4], BLACK.float() / 255, BLACK.long() + 300, BLACK.bool(), BLACK.to(torch.int8), BLACK[0],
                    BLACK[:, :-1], BLACK.view(4, 28, 28), torch.full((4, 784), NAN), BLACK[:3], BLACK[:0], [[0] * 784] * 4],
         "labels": [None, 5, [0, 1, 2, 3], NUMBERS.float(), NUMBERS.int(), NUMBERS[:3], NUMBERS.view(2, 2), NUMBERS + 99,
                    NUMBERS + 7, NUMBERS - 2, torch.full((4,), NAN), np.arange(4), DIGITS, NUMBERS + 2**40],
         "class_names": [None, 5, "0123456789", list(NAMES), (), NAMES[:3], (0, 1, 2, 3), {"0", "1"}],
         "shape": [None, 784, (1, 28, 28), ImageShape(1, 28, 27), ImageShape(3, 28, 28), DIGITS],
         "names": [None, 5, "abcd", ["a", "b", "c", "d"], ("a",), (1, 2, 3, 4)]},
    ),
    "Images at": (DIGITS.__getitem__, {"index": slice(0, 2)}, {"index": [
        0, -1, None, "0", 1.5, [0, 1], (0, 1), torch.tensor([9]), torch.tensor([0.5]), torch.tensor([True]), torch.tensor(1), NAN,
        np.array([0]), ("x",), slice("a", None), slice(0.5, 1), torch.zeros(4, 784, dtype=torch.bool),
    ]}),
    "Images.to": (DIGITS.to, {"device": "cpu"}, {"device": [None, 5, "x", "", ["cpu"]]}),
    "Images.padded": (DIGITS.padded, {"shape": GREY_28}, {"shape": [None, 32, (32, 32), ImageShape(1, 27, 28),
                                                                   ImageShape(3, 32, 32)]}),
    "Images.coloured": (DIGITS.coloured, {"channels": 3}, {"channels": [0, 2, 4, -1, None, "3", "rgb", NAN, 1.5]}),
    "ImageShape": (ImageShape, {"channels": 1, "height": 8, "width": 8}, {
        "channels": [0, 2, -1, "1", None, 1.0, True, NAN], "height": [0, -1, "8", None, 8.0, NAN], "width": [0, -1, "8", None, 8.0],
    }),
    "VAE": (
        VAE,
        {"encoder": MODEL.encoder, "decoder": MODEL.decoder, "likelihood": Bernoulli, "latent_dim": 2},
        {"encoder": [None, 5, len, RUN], "decoder": [None, 5, len], "likelihood": [None, "bernoulli", Bernoulli(BLACK[None]),
                                                                                nn.Linear, 5],
         "latent_dim": [*COUNTS, None, 5000], "labels": [-1, 1.5, "3", None, NAN, True], "binarize": [None, 5, "x", "", True],
         "image_shape": [None, 784, (1, 28, 28), DIGITS]},
    ),
    "VAE.posterior": (LABELLED.posterior, {"x": torch.zeros(4, 784)}, {
        "x": TENSORS, "y": [5, "x", torch.zeros(4, 9), torch.zeros(4, 10, dtype=torch.int64), NUMBERS, [0]]}),
    "VAE.likelihood": (MODEL.likelihood, {"z": torch.zeros(4, 2)}, {
        "z": [None, 5, "x", torch.zeros(4, 3), torch.zeros(4, 784), torch.zeros(4, 2, dtype=torch.int64), [[0.0, 0.0]],
              np.zeros((4, 2)), torch.zeros(())], "y": [torch.zeros(4, 10), 3, NUMBERS]}),
    "VAE.condition": (LABELLED.condition, {"labels": NUMBERS}, {
        "labels": [None, 3, [3], NUMBERS.float(), NUMBERS + 99, NUMBERS - 2, torch.tensor(3), np.arange(3), NUMBERS.view(2, 2)]}),
    "VAE.observe": (MODEL.observe, {"pixels": BLACK, "noise": torch.Generator()}, {
        "pixels": [*TENSORS[:4], BLACK.float(), BLACK.long(), DIGITS, torch.full((4, 784), NAN)], "noise": [5, 0.5, "x"]}),
    "VAE.mean_image": (MODEL.mean_image, {"images": DIGITS}, {"images": IMAGES}),
    "build": (build, {"config": vaecli.Config(hidden=(3,))}, {
        "config": [None, 5, {}, RUN, vaecli.Config], "images": [5, "x", BLACK, SMALL, COLOURED, DIGITS[:0], MODEL]}),
    "Run.images": (RUN.images, {"split": "test"}, {"split": [*WORDS, "valid"], "data_dir": [*PATHS, "nowhere"], "read": FUNCTIONS}),
    "read_run": (read_run, {"file": BASELINE}, {"file": [*PATHS, None, RUN, "nowhere"]}),
    "names_of": (names_of, {"runs": [RUN]}, {"runs": [None, 5, RUN, [MODEL], "baseline", [None]]}),
    "cloud": (cloud, ONE, BOTH | {"dimensions": [0, -1, 4, 1.5, "2", True, NAN]}),
    "variances": (variances, ONE, BOTH),
    "manifold": (manifold, {"run": RUN}, {"run": RUNS, "side": COUNTS, "label": [3.5, NAN, (3,), "x", 99]}),
    "show_run": (
        show_run, {"run": RUN, "name": "a", "images": DIGITS},
        {"run": RUNS, "name": [None, 5, ["a"]], "images": IMAGES, "n": COUNTS, "seed": SEEDS, "samples": COUNTS},
    ),
    "loss_curve": (loss_curve, {"run": RUN, "name": "a"}, {"run": RUNS, "name": [None, 5]}),
    "latents_of": (latents_of, ONE, BOTH | {"labels_known": BOOLS}),
    "Latents.file": (latents_of(**ONE).file, {"suffix": ".csv"}, {"suffix": [None, 5, "csv", ".txt", "", OBJECT]}),
    "label_number": (label_number, {"label": 3, "class_names": NAMES}, {
        "label": [10, -1, 1.5, None, "x", "", NAN, True, (3,)], "class_names": [(), None, 5, (0, 1)]}),
    "choose_images": (choose_images, {"run": RUN, "n": 2}, {
        "run": RUNS, "split": WORDS, "n": COUNTS, "label": [10, -1, 1.5, "x", True, NAN], "data_dir": [*PATHS, "nowhere"],
        "pictures": ["a.png", [5], None, 5, [Path("nowhere.png")]], "read": FUNCTIONS, "listen": [5, print]}),
    "half": (half, {"name": "top", "shape": GREY_28}, {"name": [5, None, "middle", "", ["top"]], "shape": [None, 784]}),
    "evaluate": (evaluate, ONE, BOTH | {"draws": COUNTS}),
    "importance_bound": (importance_bound, ONE | {"k": 2}, BOTH | {"k": [*COUNTS, None], "proposal": [5, None, "x"],
                                                                  "repeat": [-1, 1.5, None, "1", True], "on_images": FUNCTIONS}),
    "exact_log_prob": (exact_log_prob, ONE, {"model": [*MODELS, WIDE], "images": IMAGES, "on_share": FUNCTIONS, "sides": [
        5, (150,), (0, 10), ("1", 2), (1.5, 2)]}),
    "save_panels": (save_panels, {"path": OUT, "rows": [[Panel("a", torch.zeros(2, 784), 2, GREY_28)]]}, {
        "path": FILES, "rows": [None, 5, [], [[]], [5], [[5]], [[BLACK]], "x", [Panel("a", torch.zeros(2, 784), 2, GREY_28)]]}),
    "Panel": (Panel, {"caption": "a", "images": torch.zeros(2, 784), "columns": 2, "shape": GREY_28}, {
        "caption": [None, 5], "images": [None, 5, DIGITS, torch.zeros(2, 783), torch.zeros(784), torch.zeros(0, 784),
                                         np.zeros((2, 784))], "columns": COUNTS, "shape": [None, 784, (1, 28, 28)]}),
    "save_clouds": (save_clouds, {"path": OUT, "runs": [("a", CLOUD)]}, {
        "path": FILES, "runs": [None, 5, [], [CLOUD], [("a", MODEL)], [(5, CLOUD)], [("a", CLOUD, 1)], "x"], "split": [5, None],
        "view": [5, "45,20", (45,), ("a", "b"), (NAN, 20), (math.inf, 0)]}),
    "save_variances": (save_variances, {"path": OUT, "runs": [("a", variances(**ONE))]}, {
        "path": FILES, "runs": [None, 5, [], [("a", CLOUD)], [("a", None)]]}),
    "save_curves": (save_curves, {"path": OUT, "runs": [loss_curve(RUN, "a")]}, {"path": FILES, "runs": [None, [], [RUN], 5]}),
    "save_samples": (save_samples, {"path": OUT, "runs": [show_run(RUN, "a", DIGITS)]}, {"path": FILES, "runs": [None, [], [RUN]]}),
    "save_manifolds": (save_manifolds, {"path": OUT, "runs": [("a", manifold(RUN, side=2))]}, {
        "path": FILES, "runs": [None, [], [RUN], [("a", RUN)]]}),
    "save_thumbnails": (save_thumbnails, {"path": OUT, "runs": [("a", CLOUD, DIGITS)]}, {
        "path": FILES, "runs": [None, [], [RUN], [("a", CLOUD)], [("a", CLOUD, DIGITS[:2])], [("a", CLOUD, BLACK)],
                                [("a", cloud(WIDE, DIGITS), DIGITS)]]}),
}  # fmt: skip

CASES = [
    pytest.param(function, right, argument, value, id=f"{name}-{argument}-{number}")
    for name, (function, right, wrong) in CALLS.items()
    for argument, values in wrong.items()
    for number, value in enumerate(values)
]


@pytest.mark.parametrize(("function", "right", "argument", "value"), CASES)
def test_a_wrong_argument_is_refused_in_one_line(function, right, argument, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(vaecli.VaecliError) as caught:
        function(**right | {argument: value})
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 400
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_the_message_names_the_argument_as_python_has_it():
    """Of those that are refused at the call; what is found later, such as a folder that is not there, has its own words."""
    words = {
        "model": (lambda: vaecli.sample(RUN), "model: found a Run, expected a VAE, such as run.model"),
        "run": (lambda: manifold(MODEL), "run: found a VAE, expected a Run, such as vaecli.load gives"),
        "n": (lambda: vaecli.sample(MODEL, "3"), "n=3: found a str, expected a whole number from 1 to "),
        "n of a fraction": (lambda: vaecli.sample(MODEL, 3.0), "n=3: found a float, expected a whole number from 1 to "),
        "latent_dim": (lambda: vaecli.Config(latent_dim="3"), "latent_dim=3: found a str, expected a whole number from 1 to "),
        "lr": (lambda: vaecli.Config(lr=torch.tensor(1e-3)), "lr: found a tensor of torch.float32, shape (), expected a number "),
        "class_names": (lambda: Images(BLACK, NUMBERS, list(NAMES)), "class_names: found a list, expected a tuple, each a word"),
        "pixel_range": (
            lambda: vaecli.load_images("folder", "test", pixel_range=[0, 255]),
            "pixel_range: found a list, expected a tuple of 2: a number, a number",
        ),
        "runs": (lambda: vaecli.explore(RUN, [DIGITS]), "runs: found a Run, expected a list that is not empty, each a Run, "),
        "settings": (lambda: vaecli.search(vaecli.Config()), "settings: found a Config, expected a dict"),
        "images": (lambda: vaecli.encode(MODEL, SMALL), "images: found images of 8 x 8, expected 28 x 28, those of the model"),
        "a": (lambda: vaecli.between(MODEL, DIGITS, DIGITS), "a: found 4 images, expected one"),
        "pixels": (
            lambda: Images(BLACK / 255, NUMBERS, NAMES),
            "pixels: found a tensor of torch.float32, shape (4, 784), expected ",
        ),
        "labels": (lambda: Images(BLACK, NUMBERS + 99, NAMES), "labels=102: expected 0 to 9, the numbers of `class_names`, or -1 "),
        "kind": (lambda: vaecli.inpaint(MODEL, DIGITS, DIGITS, kind="x"), "kind=x: expected mean or draw"),
        "k": (lambda: vaecli.measure(MODEL, DIGITS, k=(5, 0)), "k=5,0: expected a list, each a whole number from 1 to "),
        "data_dir": (lambda: vaecli.load_images("mnist", "test", 5), "data_dir=5: expected a path"),
        "x": (
            lambda: MODEL.posterior(torch.zeros(3, 5)),
            "x: found a tensor of torch.float32, shape (3, 5), expected a tensor of ",
        ),
    }
    for name, (call, message) in words.items():
        with pytest.raises(vaecli.VaecliError) as caught:
            call()
        assert str(caught.value).startswith(message), name


def test_an_unknown_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match="numbr"):
        vaecli.sample(MODEL, numbr=3)


@pytest.mark.parametrize("name", [name for name in CALLS if name not in ("train", "train on an array", "search", "load_images")])
def test_the_right_call_is_right(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, right, _ = CALLS[name]
    function(**right)


def test_numbers_of_numpy_are_numbers():
    assert len(vaecli.sample(MODEL, np.int64(3), seed=np.uint8(1)).mean) == 3
    config = vaecli.Config(latent_dim=np.int64(3), lr=np.float32(0.5), hidden=[np.int32(4)])
    assert config == vaecli.Config(latent_dim=3, lr=0.5, hidden=(4,))
    assert (type(config.latent_dim), type(config.lr), type(config.hidden[0])) == (int, float, int)


def test_images_are_checked_once(monkeypatch):
    """What is made of them by slices, on another device or in another shape, is made of checked ones."""
    looks = []

    def look(self):
        looks.append(self)

    monkeypatch.setattr(Images, "__post_init__", look)
    digits = Images(BLACK, NUMBERS, NAMES)
    assert len(digits[:2].to("cpu").padded(ImageShape(1, 32, 32)).coloured(3)[torch.tensor([0])]) == 1
    assert [id(one) for one in looks] == [id(digits)]
    assert digits[1:].digest != digits.digest


def test_the_labels_of_images_that_are_changed_are_checked_again():
    with pytest.raises(vaecli.VaecliError, match="labels=7"):
        replace(DIGITS, labels=NUMBERS + 4, class_names=NAMES[:4])


HUGE = [("encoder", 1e20), ("decoder", 1e37), ("encoder", 1e37), ("coder", 1e30)]
OF_HUGE = {
    "encode": vaecli.encode,
    "score": vaecli.score,
    "score by annealing": lambda model, images: vaecli.score(model, images[:2], by=vaecli.AIS(temperatures=2)),
    "reconstruct": vaecli.reconstruct,
    "between": lambda model, images: vaecli.between(model, images[:1], images[1:2]),
    "sample": lambda model, images: vaecli.sample(model),
    "measure": lambda model, images: vaecli.measure(model, images, k=(1, 50)),
    "measure exactly": lambda model, images: vaecli.measure(model, images, k=(), exact=True),
    "a table": lambda model, images: importance_bound(model, images, 600),
    "inpaint": lambda model, images: vaecli.inpaint(model, images[:1], images, starts=1, steps=5),
    "explore": lambda model, images: vaecli.explore([replace(RUN, model=model)], [images]),
    "cloud": cloud,
    "variances": variances,
    "latents_of": latents_of,
    "manifold": lambda model, images: manifold(replace(RUN, model=model)),
    "show_run": lambda model, images: show_run(replace(RUN, model=model), "a", images),
}
"""Numbers and pictures of models whose weights are finite but huge, or not even finite."""


def with_weights(part, factor):
    model = read_run(BASELINE).model
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if part in name:
                weight.copy_((weight.double() * factor).clamp(-3e38, 3e38))
    return model


@pytest.mark.parametrize("name", OF_HUGE)
@pytest.mark.parametrize(("part", "factor"), [*HUGE, ("coder", NAN)])
def test_no_number_comes_of_weights_that_are_huge(name, part, factor):
    model = with_weights(part, factor)
    digits = vaecli.load_images("mnist", "test", limit=20)
    try:
        OF_HUGE[name](model, digits)
    except vaecli.VaecliError as error:
        assert str(error).isprintable()
        assert "train" in str(error)
    else:
        uses = {"encode": "encoder", "cloud": "encoder", "variances": "encoder", "latents_of": "encoder",
                "sample": "decoder", "manifold": "decoder"}  # fmt: skip
        assert name in uses and part not in uses[name] and not math.isnan(factor)
