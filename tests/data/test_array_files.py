"""Arrays in files: what is read, what is refused, and how much memory rubbish takes."""

import io
import json
import zipfile

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import vaecli
from tests.data.test_array import COLOUR, GREY, source_of
from tests.fuzz import attempt, cases
from tests.helpers import put
from vaecli.config import Config
from vaecli.data import Source
from vaecli.data.array_files import read_arrays
from vaecli.data.summary import summarise
from vaecli.errors import DataError
from vaecli.memory import SHARE, machine_memory

LABELS = np.arange(40) % 3
TEST, TEST_LABELS = GREY[:9] // 2, LABELS[:9]
SPLITS = ("train", "test")


def digests(source):
    return [source.images(split).digest for split in SPLITS]


def of_file(path, **settings):
    return Source(Config(dataset="array", **settings), path)


def hdf5(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array


WRITERS = {"x.npz": np.savez, "packed.npz": np.savez_compressed, "x.h5": hdf5}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("images", "labels"),
    [("images", "labels"), ("x", "y"), ("X", "Y"), ("data", "targets"), ("arr_0", "arr_1"), ("imgs", "target"), ("images", None)],
)
def test_images_and_labels_by_name_are_those_of_the_call(tmp_path, name, images, labels):
    arrays = {images: GREY} | ({labels: LABELS} if labels else {}) | {"notes": np.array([1.5])}
    WRITERS[name](tmp_path / name, **arrays)
    assert digests(of_file(tmp_path / name)) == digests(source_of(GREY, LABELS if labels else None))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "names", [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels"),
              ("train/x", "train/y", "test/x", "test/y")],
)  # fmt: skip
def test_splits_by_name_are_those_of_the_call(tmp_path, name, names):
    arrays = (GREY, LABELS[:, None], TEST, TEST_LABELS[:, None])
    WRITERS[name](tmp_path / name, **dict(zip(names, arrays, strict=True)))
    source = of_file(tmp_path / name)
    assert digests(source) == digests(source_of(GREY, LABELS, TEST, TEST_LABELS))
    found = summarise(*(source.images(split) for split in SPLITS), source.settled())
    assert found.lines()[0] == f"{tmp_path / name}: 40 images to train on from {names[0]}, 9 to test on from {names[2]}"


def test_an_array_alone_is_the_images(tmp_path):
    np.save(tmp_path / "a.npy", np.asfortranarray(COLOUR))
    np.savez(tmp_path / "a.npz", whatever=COLOUR)
    hdf5(tmp_path / "a.h5", whatever=COLOUR)
    for name in ("a.npy", "a.npz", "a.h5"):
        assert digests(of_file(tmp_path / name)) == digests(source_of(COLOUR))


def test_words_and_names_of_labels(tmp_path):
    words = np.array(["ß", "a b", "c"])[LABELS]
    np.savez(tmp_path / "words.npz", images=GREY, labels=words)
    np.savez(tmp_path / "names.npz", images=GREY, labels=LABELS, class_names=np.array(["one", "two", "three"]))
    hdf5(tmp_path / "words.h5", images=GREY, labels=[word.encode() for word in words])
    assert of_file(tmp_path / "words.npz").images("train").class_names == ("a b", "c", "ß")
    assert digests(of_file(tmp_path / "words.h5")) == digests(of_file(tmp_path / "words.npz")) == digests(source_of(GREY, words))
    assert of_file(tmp_path / "names.npz").images("train").class_names == ("one", "two", "three")
    np.savez(tmp_path / "few.npz", images=GREY, labels=LABELS, class_names=np.array(["one", "two"]))
    with pytest.raises(DataError, match=r"found a label 2, expected 0 to 1, or -1"):
        of_file(tmp_path / "few.npz").images("train")


def test_images_kept_for_validation(tmp_path):
    held = GREY[:5] // 3
    np.savez(tmp_path / "a.npz", train_images=GREY, val_images=held, test_images=TEST)
    source = of_file(tmp_path / "a.npz")
    assert len(source.images("train")) == 40
    assert source.images("train").reading.unused == 5
    train = of_file(tmp_path / "a.npz", validation=4).images("train")
    assert len(train) == 44
    assert {row.tobytes() for row in train.pixels[-4:].numpy()} <= {one.tobytes() for one in held}
    with pytest.raises(
        vaecli.VaecliError, match=r"validation=6: found 5 images in val_images .* hold them all out with validation=5"
    ):
        of_file(tmp_path / "a.npz", validation=6).images("train")
    np.savez(tmp_path / "b.npz", train_images=GREY, val_images=held)
    assert len(of_file(tmp_path / "b.npz").images("test")) == 5, "validation alone is the test set, as in a folder"


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": GREY, "b": GREY}, "found a, b, expected images, or x_train and x_test"),
        ({"x_test": GREY, "b": GREY}, "expected images, or x_train and x_test"),
        ({"images": GREY, "x": GREY}, "found images and x, which may both be the images, expected one of them"),
        ({"images": GREY, "x_train": GREY}, "expected either images or x_train"),
        ({"x_train": GREY, "y_test": LABELS}, "found y_test without images of that split"),
        ({"images": GREY, "labels": LABELS[:5]}, "found 40 images beside 5 labels"),
        ({"images": GREY.astype("S3"), "labels": LABELS}, "found values of type"),
        ({"images": np.zeros(4, [("a", "u1"), ("b", "u1")]), "labels": LABELS}, "expected numbers or words"),
    ],
)
def test_files_that_may_be_several_things_are_refused(tmp_path, name, arrays, message):
    WRITERS[name](tmp_path / name, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        of_file(tmp_path / name).images("train")
    assert str(caught.value).startswith(str(tmp_path / name))


class Bomb:
    def __reduce__(self):
        return (print, ("run",))


def test_pickles_are_not_opened(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", images=np.array([Bomb()], object))
    np.savez(tmp_path / "b.npz", images=GREY, labels=np.array([Bomb()] * 40, object))
    for name in ("a.npy", "a.npz", "b.npz"):
        with pytest.raises(DataError, match="found Python objects or records, expected numbers or words"):
            read_arrays(tmp_path / name)
    assert capsys.readouterr().out == ""


def npy(shape, dtype="|u1", body=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": dtype})
    return file.getvalue() + body


@pytest.mark.parametrize("shape", [(2**40, 28, 28), (10, 28, 29), (-1, -7840), (0,), (10**30,), (True, 7840), (10, 28, 28, 10**12)])
def test_a_header_that_does_not_fit_the_bytes_is_refused_before_memory_is_taken(tmp_path, shape):
    body = bytes(7840)
    attempt(read_arrays, tmp_path / "a.npy", npy(shape, body=body), DataError)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("images.npy", npy(shape, body=body))
    assert not attempt(read_arrays, tmp_path / "a.npz", packed.getvalue(), DataError)


def test_arrays_that_memory_does_not_hold_are_refused(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", GREY)
    np.savez_compressed(tmp_path / "a.npz", x_train=GREY, x_test=GREY)
    hdf5(tmp_path / "a.h5", images=GREY)
    fits = int(GREY.nbytes * 2 / SHARE)
    monkeypatch.setattr("vaecli.data.array_files.machine_memory", lambda: fits)
    read_arrays(tmp_path / "a.npy"), read_arrays(tmp_path / "a.h5")
    with pytest.raises(DataError, match="half of this machine's"):
        read_arrays(tmp_path / "a.npz")
    monkeypatch.setattr("vaecli.data.array_files.machine_memory", lambda: fits - 2)
    for name in ("a.npy", "a.h5"):
        with pytest.raises(DataError, match="half of this machine's"):
            read_arrays(tmp_path / name)


def test_a_bomb(tmp_path):
    """Kilobytes that unpack to more than half of the memory, and sizes that no bytes stand for."""
    count = int(machine_memory() // 28 // 28)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", npy((10**5, 28, 28), body=bytes(10**5 * 28 * 28)))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    assert len(data) < 200_000
    assert len(read_arrays(tmp_path / "a.npz").train.images) == 10**5, "within the memory it is only a black array"
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", (10**6, 28, 28), "u1")
        file.create_dataset("x_test", (count, 28, 28), "u1", chunks=(1, 28, 28))
    with pytest.raises(DataError, match="bytes that are not in the file"):
        read_arrays(tmp_path / "a.h5")


def test_hdf5_reads_no_other_file(tmp_path):
    hdf5(tmp_path / "other.h5", images=GREY)
    (tmp_path / "raw").write_bytes(GREY.tobytes())
    with h5py.File(tmp_path / "link.h5", "w") as file:
        file["images"] = h5py.ExternalLink("other.h5", "/images")
    with h5py.File(tmp_path / "group.h5", "w") as file:
        file["train"] = h5py.ExternalLink("other.h5", "/")
        file["x_train"] = h5py.SoftLink("/train/images")
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("images", GREY.shape, "u1", external=[(str(tmp_path / "raw"), 0, GREY.nbytes)])
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(GREY.shape, "u1")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "images", GREY.shape)
        file.create_virtual_dataset("images", layout)
    for name, message in (("link", "a link"), ("group", "a link"), ("external", "another file"), ("virtual", "another file")):
        with pytest.raises(DataError, match=message):
            read_arrays(tmp_path / f"{name}.h5")


@pytest.mark.parametrize("kind", ["FIFO", "device", "socket", "holes"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    put(tmp_path / "a.npy", kind)
    with pytest.raises(DataError):
        read_arrays(tmp_path / "a.npy")


def test_what_holds_no_arrays_is_refused_with_what_to_give(tmp_path):
    (tmp_path / "a.npz").write_text("text")
    (tmp_path / "empty").mkdir()
    Image.fromarray(GREY[0]).save(tmp_path / "1.png")
    for path, message in (
        (tmp_path / "a.npz", "found no arrays, expected a .npy, .npz or HDF5 file"), (tmp_path / "none.npz", "no such file"),
        (tmp_path / "empty", "found a folder, expected a .npy"),
        (tmp_path, "found a folder of pictures, which dataset=folder reads"),
        (None, "found no file of arrays, expected .* give it with data_dir=FILE.npz"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            read_arrays(path)


def test_other_data_sets_point_to_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY)
    for dataset in ("folder", "mnist"):
        with pytest.raises(DataError, match="; dataset=array reads arrays"):
            Source(Config(dataset=dataset), tmp_path / "a.npz").images("train")


@pytest.mark.parametrize(("library", "name", "extra"), [("h5py", "a.h5", "hdf5"), ("datasets", "saved", "huggingface")])
def test_a_library_that_is_not_there_is_named_with_its_extra(tmp_path, monkeypatch, library, name, extra):
    hdf5(tmp_path / "a.h5", images=GREY)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/state.json").write_text("{}")
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(DataError, match=rf"found no {library}, which reads it; install it with: pip install 'vaecli\[{extra}\]'"):
        read_arrays(tmp_path / name)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    np.save(folder / "ok.npy", GREY[:9])
    np.savez_compressed(folder / "ok.npz", x_train=GREY[:9], y_train=LABELS[:9])
    hdf5(folder / "ok.h5", images=GREY[:9], labels=LABELS[:9])
    return folder


@pytest.mark.parametrize("ending", ["npy", "npz", "h5"])
class TestFuzz:
    @cases(100)
    @given(data=st.data())
    def test_flipped_bytes(self, fuzzed, ending, data):
        changed = bytearray((fuzzed / f"ok.{ending}").read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            changed[data.draw(st.integers(0, min(len(changed), 3000) - 1))] = data.draw(st.integers(0, 255))
        attempt(read_arrays, fuzzed / f"file.{ending}", bytes(changed), DataError)

    @cases(40)
    @given(data=st.data())
    def test_cut_short(self, fuzzed, ending, data):
        whole = (fuzzed / f"ok.{ending}").read_bytes()
        assert not attempt(read_arrays, fuzzed / f"file.{ending}", whole[: data.draw(st.integers(0, len(whole) - 1))], DataError)


class TestHuggingFace:
    """Folders that ``save_to_disk`` wrote."""

    @pytest.fixture
    def datasets(self):
        return pytest.importorskip("datasets")

    @pytest.fixture
    def table(self, datasets):
        features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})

        def make(images, labels):
            columns = {"image": [Image.fromarray(one) for one in images], "label": list(map(int, labels))}
            return datasets.Dataset.from_dict(columns, features=features)

        return make

    def test_pictures_and_labels(self, tmp_path, datasets, table):
        datasets.DatasetDict(train=table(COLOUR, LABELS), test=table(COLOUR[:9], TEST_LABELS)).save_to_disk(tmp_path / "two")
        table(GREY, LABELS).save_to_disk(tmp_path / "one")
        source = of_file(tmp_path / "two")
        assert digests(source) == digests(source_of(COLOUR, LABELS, COLOUR[:9], TEST_LABELS))
        assert source.images("train").class_names == ("a", "b", "c")
        assert digests(of_file(tmp_path / "one")) == digests(source_of(GREY, LABELS))

    def test_arrays_and_words(self, tmp_path, datasets):
        features = datasets.Features({"image": datasets.Array2D((8, 8), "uint8"), "label": datasets.Value("string")})
        words = [str(label) for label in LABELS]
        datasets.Dataset.from_dict({"image": GREY, "label": words}, features=features).save_to_disk(tmp_path / "x")
        assert digests(of_file(tmp_path / "x")) == digests(source_of(GREY, words))

    def test_paths_and_addresses_in_it_are_not_opened(self, tmp_path, datasets):
        kinds = {"image": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}}
        Image.fromarray(GREY[0]).save(tmp_path / "1.png")
        for number, place in enumerate((str(tmp_path / "1.png"), "http://127.0.0.1:9/1.png")):
            folder = tmp_path / str(number)
            columns = {"image": [{"bytes": None, "path": place}]}
            datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).save_to_disk(folder)
            about = json.loads((folder / "dataset_info.json").read_text())
            (folder / "dataset_info.json").write_text(json.dumps(about | {"features": {"image": {"_type": "Image"}}}))
            with pytest.raises(DataError, match="found a path or nothing, expected a picture inside the folder"):
                read_arrays(folder)

    def test_damaged_folders(self, tmp_path, table):
        table(GREY, LABELS).save_to_disk(tmp_path / "x")
        arrow = next((tmp_path / "x").glob("*.arrow"))
        whole = arrow.read_bytes()
        for data in (b"", whole[:1000], b"text"):
            arrow.write_bytes(data)
            with pytest.raises(DataError, match="cannot be read as a folder of Hugging Face's datasets"):
                read_arrays(tmp_path / "x")
        arrow.write_bytes(whole)
        state = json.loads((tmp_path / "x/state.json").read_text())
        (tmp_path / "x/state.json").write_text(json.dumps(state | {"_data_files": [{"filename": "../../secret.arrow"}]}))
        with pytest.raises(DataError):
            read_arrays(tmp_path / "x")
