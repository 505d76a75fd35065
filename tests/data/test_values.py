"""Values of pictures: every kind of number is read as NumPy and tifffile have it, or refused by name; the range is the folder's."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from vaecli.data import load_images
from vaecli.data.dataset import ReadListener, Request
from vaecli.data.folder import FOLDER
from vaecli.data.values import Extent, settle
from vaecli.errors import DataError, UsageError
from vaecli.image_shape import ImageShape

SIDE = 16
GREY = ImageShape(1, SIDE, SIDE)


def numbers(kind, high, low=0):
    """Numbers between two, of which both ends occur: shape (SIDE, SIDE)."""
    values = np.random.default_rng(0).random((SIDE, SIDE)) * (high - low) + low
    values[0, 0], values[0, 1] = low, high
    return values.astype(kind)


def as_bytes(values, low, high):
    return np.rint((values.astype(float) - low) * 255 / (high - low)).clip(0, 255).astype(np.uint8)


def read(path, shape=GREY, pixel_range=None):
    return FOLDER.picture(path, shape, pixel_range).pixels.view(shape.channels, SIDE, SIDE).squeeze(0).numpy()


def written(folder, values, **options):
    path = folder / "a.tif"
    tifffile.imwrite(path, values, **options)
    return path


WHOLE = [
    ("uint8", 255, 255), ("uint16", 4095, 4095), ("uint16", 65535, 65535), ("uint16", 1000, 1023), ("uint16", 30, 30),
    ("uint32", 4_000_000_000, 4_000_000_000), ("int32", 4000, 4095), ("int16", 30_000, 65535), ("int8", 127, 127), ("uint16", 1, 1),
]  # fmt: skip
"""Types, the greatest value, and white."""


@pytest.mark.parametrize(
    "options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"bigtiff": True}, {"byteorder": ">"}], ids=str
)
@pytest.mark.parametrize(("kind", "high", "white"), WHOLE)
def test_whole_numbers_of_any_type_and_depth(tmp_path, kind, high, white, options):
    values = numbers(kind, high)
    path = written(tmp_path, values, **options)
    if options.get("byteorder") and kind == "uint32":
        with pytest.raises(DataError, match="that Pillow does not read: 1 value per pixel, unsigned values of 32 bits"):
            read(path)
    else:
        assert np.array_equal(read(path), as_bytes(values, 0, white))


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "float32"])
def test_negative_values_are_not_cut_off(tmp_path, kind):
    values = numbers(kind, 100, -120)
    assert np.array_equal(read(written(tmp_path, values)), as_bytes(values, -120, 100))


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "int32", "float32"])
def test_packed_values_in_either_order_of_bytes(tmp_path, kind, byteorder):
    values = numbers(kind, 255)
    path = written(tmp_path, values, compression="zlib", byteorder=byteorder)
    assert np.abs(read(path).astype(int) - as_bytes(values, 0, 255)).max() <= 1


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_white_is_zero_where_the_file_says_so(tmp_path, kind):
    values = numbers(kind, 1 if kind == "float32" else np.iinfo(kind).max)
    ordinary = as_bytes(values, 0, values.max())
    assert np.array_equal(read(written(tmp_path, values, photometric="miniswhite")), 255 - ordinary)


@pytest.mark.parametrize(
    ("high", "white"), [(1, 1), (1.0001, 1), (1.04, 1), (3.7, 3.7), (200, 255), (254.5, 255), (60_000.5, 65535)]
)
def test_floats_have_a_usual_white_or_their_greatest_value(tmp_path, high, white):
    values = numbers("float32", high)
    assert np.abs(read(written(tmp_path, values)).astype(int) - as_bytes(values, 0, white)).max() <= 1


KINDS_REFUSED = {
    "float64": (numbers("float64", 1), {}, "64-bit floats"),
    "float16": (numbers("float16", 1), {}, "16-bit floats"),
    "int64": (numbers("int64", 9), {}, "signed values of 64 bits"),
    "complex": (numbers("complex64", 1), {}, "complex values"),
    "colours of floats": (np.zeros((16, 16, 3), "float32"), {"photometric": "rgb"}, "3 values per pixel, 32-bit floats"),
    "two values": (np.zeros((16, 16, 2), "uint8"), {"photometric": "minisblack", "planarconfig": "contig"}, "2 values per pixel"),
    "five values": (np.zeros((16, 16, 5), "uint16"), {"photometric": "minisblack", "planarconfig": "contig"}, "5 values per pixel"),
    "four planes": (np.zeros((4, 9, 9), "uint16"), {"photometric": "minisblack", "planarconfig": "separate"}, "4 values per pixel"),
    "planes": (np.zeros((3, 16, 16), "uint16"), {"photometric": "rgb", "planarconfig": "separate"}, "planes of their own"),
    "signed, white is zero": (numbers("int16", 9), {"photometric": "miniswhite"}, "signed values of 16 bits"),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS_REFUSED)
def test_what_pillow_does_not_read_rightly_is_refused_by_name(tmp_path, name):
    values, options, words = KINDS_REFUSED[name]
    with pytest.raises(DataError, match=words) as refused:
        read(written(tmp_path, values, **options))
    assert "cut short" not in str(refused.value)


def test_a_fourth_value_beside_colours_is_not_looked_at(tmp_path):
    values = np.random.default_rng(0).integers(256, size=(SIDE, SIDE, 4), dtype=np.uint8)
    path = written(tmp_path, values, photometric="rgb", extrasamples=["unspecified"])
    assert np.array_equal(read(path, ImageShape(3, SIDE, SIDE)), np.moveaxis(values, -1, 0)[:3])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"), (b"hello", "not a picture"), (b"%PDF-1.4", "a PDF file"), (b"8BPS", "a Photoshop file"),
        (b"\x89PNG\r\n\x1a\n123", "a PNG file that is cut short or damaged"), (b"\xff\xd8\xff\xe0", "a JPEG file that is cut"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "a HEIC file that is cut short"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a WEBP file that is cut short"),
        (b"II*\0\x08\0\0\0", "a TIFF file that is cut short"),
    ],
)  # fmt: skip
def test_cut_short_is_said_of_files_that_are(tmp_path, data, words):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=f"{words}.*; expected a PNG, JPEG or the like"):
        read(tmp_path / "a.png")


def test_colours_of_floats_are_not_called_damaged(tmp_path):
    (tmp_path / "a.pfm").write_bytes(b"PF\n16 16\n-1.0\n" + bytes(16 * 16 * 12))
    with pytest.raises(DataError, match="a three-colour PFM file, which vaecli does not read"):
        read(tmp_path / "a.pfm")


def folder_of(folder, *pictures):
    """The images of a folder of TIFF files, by name, and their reading."""
    for number, values in enumerate(pictures):
        tifffile.imwrite(folder / f"{number}.tif", values)
    found = [FOLDER.read(Request("folder", split, folder, GREY), ReadListener()) for split in ("train", "test")]
    by_name = {name: row.view(SIDE, SIDE).numpy() for one in found for name, row in zip(one.names, one.pixels, strict=True)}
    return by_name, found


def test_one_range_holds_for_all_pictures_of_a_folder(tmp_path):
    pictures = [numbers("float32", 1) for _ in range(9)]
    pictures.append(numbers("float32", 1.0001))
    by_name, found = folder_of(tmp_path, *pictures)
    for number, values in enumerate(pictures):
        assert np.array_equal(by_name[f"{number}.tif"], as_bytes(values, 0, 1))
    assert {one.reading.pixel_range for one in found} == {(0, 1)}
    assert sum(one.reading.outside for one in found) == 1


def test_a_dark_picture_of_a_folder_stays_dark(tmp_path):
    by_name, found = folder_of(tmp_path, numbers("uint16", 4095), numbers("uint16", 300), numbers("uint16", 100))
    assert [by_name[f"{number}.tif"].max() for number in range(3)] == [255, 19, 6]
    assert found[0].reading.pixel_range == (0, 4095)


def test_a_range_that_is_given_is_used_and_the_values_outside_are_counted(tmp_path):
    values = numbers("uint16", 4095)
    tifffile.imwrite(tmp_path / "a.tif", values)
    images = load_images("folder", "train", tmp_path, image_size=SIDE, colour="grey", pixel_range=(1000, 2000))
    assert np.array_equal(images.pixels[0].view(SIDE, SIDE).numpy(), as_bytes(values, 1000, 2000))
    assert images.reading.outside == 1


def test_a_range_for_bytes_brightens_masks_of_zeros_and_ones(tmp_path):
    values = numbers("uint8", 1).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "a.png")
    images = load_images("folder", "train", tmp_path, image_size=SIDE, colour="grey", pixel_range=(0, 1))
    assert np.array_equal(images.pixels[0].view(SIDE, SIDE).numpy(), values * 255)


@pytest.mark.parametrize(
    ("extents", "expected"),
    [
        ([("bytes", 0, 255)], (0, 255)),
        ([("whole", 0, 4095), ("bytes", 0, 255)], (0, 4095)),
        ([("whole", -1024, 3071), ("whole", -2000, 100)], (-2000, 3071)),
        ([("whole", 0, 1), ("floats", 0.5, 0.7)], (0, 1)),
        ([("floats", -0.02, 0.5), ("floats", 0, 1)], (0, 1)),
        ([("floats", -1, 1)], (-1, 1)),
        ([("floats", 0, 0)], (0, 1)),
        ([("whole", -5, -5)], (-5, -4.999995)),
        ([("halved", 0, 200)], (0, 255)),
    ],
)
def test_the_range_follows_from_all_values(extents, expected):
    assert settle(Extent(*extent) for extent in extents) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("extents", "words"),
    [
        ([("whole", 0, 4095), ("floats", 0, 1)], "found whole numbers from 0 to 4,095 beside floats from 0 to 1"),
        ([("bytes", 0, 255), ("floats", 0, 1)], "found pictures of 8 bits beside numbers from 0 to 1"),
        ([("halved", 0, 15)], "colours of 16 bits that end below 4,096"),
    ],
)
def test_folders_that_no_range_suits_are_refused(extents, words):
    with pytest.raises(DataError, match=words):
        settle(Extent(*extent) for extent in extents)


def test_deep_files_of_formats_that_state_white(tmp_path):
    grey = numbers("uint16", 2000)
    (tmp_path / "a.pgm").write_bytes(b"P5 16 16 4095\n" + grey.astype(">u2").tobytes())
    assert np.array_equal(read(tmp_path / "a.pgm"), as_bytes(grey, 0, 4095))


def test_pages_of_a_stack_are_counted(tmp_path):
    pages = np.random.default_rng(0).integers(256, size=(5, SIDE, SIDE), dtype=np.uint8)
    path = written(tmp_path, pages)
    prepared = FOLDER.picture(path, GREY, None)
    assert np.array_equal(prepared.pixels.view(SIDE, SIDE).numpy(), pages[0])
    assert prepared.remarks == ("4 pages after the first left out",)
    assert FOLDER.read(Request("folder", "train", tmp_path, GREY), ReadListener()).reading.pages == 4


def test_a_picture_that_a_runs_range_leaves_nearly_black_is_remarked(tmp_path):
    path = written(tmp_path, numbers("float32", 1))
    remarks = FOLDER.picture(path, GREY, (0, 4095)).remarks
    assert remarks == ("values from 0 to 4,095 are black to white", "its own values, from 0 to 1, become 1 of 256 shades")


def test_avif_is_read(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(file, "AVIF", quality=95)
    (tmp_path / "a.avif").write_bytes(file.getvalue())
    colour = FOLDER.picture(tmp_path / "a.avif", ImageShape(3, SIDE, SIDE), None).pixels.view(3, -1).float().mean(1)
    assert (colour - colour.new_tensor([200, 30, 30])).abs().max() < 8


@pytest.mark.parametrize(
    "values",
    [
        [*[numbers("float32", 1)] * 4, numbers("float32", 255)],
        [*[numbers("uint16", 4000)] * 4, np.where(np.eye(SIDE) > 0, 65535, numbers("uint16", 4000)).astype("uint16")],
        [np.where(np.eye(SIDE) > 0, -9999, numbers("float32", 1)).astype("float32")] * 5,
    ],
    ids=["one to 255", "a hot pixel", "no data"],
)
def test_pictures_that_the_range_leaves_few_shades_are_counted(tmp_path, values):
    _, found = folder_of(tmp_path, *values)
    assert sum(len(one.reading.flat) for one in found) >= 4


def test_few_shades_are_not_counted_where_there_were_few(tmp_path):
    _, found = folder_of(tmp_path, *[numbers("uint16", 1)] * 2, numbers("uint16", 4095))
    assert not any(one.reading.flat for one in found)


def test_a_range_that_pictures_of_bytes_have_no_use_for_is_refused(tmp_path):
    for number in range(5):
        Image.fromarray(numbers("uint8", 255)).save(tmp_path / f"{number}.png")
    with pytest.raises(UsageError, match="pixel_range=0,500: found pictures of 8 bits only, expected values from 0 to 255"):
        load_images("folder", "train", tmp_path, image_size=SIDE, pixel_range=(0, 500))
    tifffile.imwrite(tmp_path / "5.tif", numbers("uint16", 500))
    assert len(load_images("folder", "train", tmp_path, image_size=SIDE, pixel_range=(0, 500)))
