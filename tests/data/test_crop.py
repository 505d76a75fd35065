"""One picture of a person's own: any mode, format and size comes out upright, in its colours, on white."""

import io
import struct
import zlib

import pytest
import torch
from PIL import Image, ImageCms

from tests.helpers import DATA
from vaecli.data.folder import FOLDER
from vaecli.errors import DataError
from vaecli.image_shape import ImageShape

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
GREYS = 76, 150, 29, 255
"""Their brightness by ITU-R 601, which Pillow's conversion to grey follows."""


def corners(mode="RGBA", size=(96, 96), colours=(RED, GREEN, BLUE)):
    """A picture of four squares: three colours, and at the bottom right nothing: transparent, or white without transparency."""
    width, height = size
    page = Image.new("RGBA", size, (0, 0, 0, 0))
    for colour, place in zip(colours, ((0, 0), (width // 2, 0), (0, height // 2)), strict=True):
        page.paste((*colour, 255), (*place, place[0] + width // 2, place[1] + height // 2))
    if mode in ("RGBA", "LA"):
        return page.convert(mode)
    white = Image.new("RGBA", size, "white")
    return Image.alpha_composite(white, page).convert("RGB").convert(mode)


def read(path, side=16, channels=3):
    return FOLDER.picture(path, ImageShape(channels, side, side), None).pixels.view(channels, side, side)


def seen(page):
    """The colours in the middles of the four quarters, in the order of reading."""
    quarter = page.shape[1] // 4
    return [tuple(page[:, y, x].tolist()) for y in (quarter, 3 * quarter) for x in (quarter, 3 * quarter)]


def assert_seen(page, expected, within=0):
    got = torch.tensor(seen(page))
    assert (got - torch.tensor(expected)).abs().max() <= within, got.tolist()


LOSSLESS, FINE = {"lossless": True}, {"quality": 95}
SAVED = {
    "a.png": ("RGBA", {}, 0), "palette.png": ("P", {}, 0), "a.bmp": ("RGB", {}, 0), "a.ppm": ("RGB", {}, 0),
    "a.gif": ("RGBA", {}, 0),
    "a.webp": ("RGBA", LOSSLESS, 0), "a.tiff": ("RGBA", {}, 0), "cmyk.tiff": ("CMYK", {}, 0), "cmyk.jpg": ("CMYK", FINE, 6),
    "a.jpg": ("RGB", FINE, 6), "ycbcr.tiff": ("YCbCr", {}, 2), "lab.tiff": ("LAB", {}, 25),
}  # fmt: skip
"""Files: the mode of the picture, how it is saved, and how far its colours may be off; LAB in bytes holds pure ones coarsely."""


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("size", [(96, 96), (16, 16)])
def test_every_format_and_mode_keeps_its_colours_on_white(tmp_path, name, size):
    mode, options, within = SAVED[name]
    if mode == "LAB":
        rgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        picture = ImageCms.profileToProfile(corners("RGB", size), rgb, lab, outputMode="LAB")
    else:
        picture = corners(size=size).quantize(8) if mode == "P" else corners(mode, size)
    assert picture.mode == mode
    picture.save(tmp_path / name, **options)
    assert_seen(read(tmp_path / name), [RED, GREEN, BLUE, WHITE], within)
    assert_seen(read(tmp_path / name, channels=1), [(grey,) for grey in GREYS], within)


def test_a_small_picture_is_enlarged_softly(tmp_path):
    corners(size=(8, 8)).save(tmp_path / "a.png")
    page = read(tmp_path / "a.png", 64)
    assert_seen(page, [RED, GREEN, BLUE, WHITE])
    assert len(page[0, 10].unique()) > 4


@pytest.mark.parametrize(
    ("mode", "ending"),
    [("1", "png"), ("1", "pgm"), ("L", "png"), ("L", "pgm"), ("LA", "png"), ("I;16", "png"), ("I;16", "tiff"), ("I;16", "pgm"),
     ("I", "tiff"), ("I", "pgm"), ("F", "tiff"), ("F", "pfm")],
)  # fmt: skip
def test_grey_of_any_depth_keeps_its_shades(tmp_path, mode, ending):
    grey = corners("L", colours=(WHITE, (127,) * 3, (0,) * 3))
    expected = [(255,) * 3, (127,) * 3, (0,) * 3, (255,) * 3]
    if mode in ("I;16", "I", "F"):
        values = torch.frombuffer(bytearray(grey.tobytes()), dtype=torch.uint8).view(96, 96)
        wide = {"I;16": (values.int() * 257).to(torch.uint16), "I": values.int() * 257, "F": values.float() / 255}[mode]
        picture = Image.fromarray(wide.numpy())
    else:
        picture = grey.convert("1", dither=Image.Dither.NONE) if mode == "1" else grey.convert(mode)
        expected[1] = (0,) * 3 if mode == "1" else expected[1]
    assert picture.mode == mode
    picture.save(tmp_path / f"grey.{ending}")
    assert_seen(read(tmp_path / f"grey.{ending}"), expected)


def test_numbers_that_no_picture_should_have(tmp_path):
    odd = torch.tensor([float("nan"), -5, 0.5, 1]).repeat_interleave(64).view(16, 16)
    Image.fromarray(odd.numpy()).save(tmp_path / "odd.tiff")
    page = FOLDER.picture(tmp_path / "odd.tiff", ImageShape(1, 16, 16), (0, 1))
    assert page.pixels.view(16, 16)[[0, 4, 8, 12], 0].tolist() == [0, 0, 128, 255]
    assert page.remarks == ("values from 0 to 1 are black to white", "values outside the range, cut to its ends: 128")
    Image.fromarray((odd.nan_to_num(float("inf")) * 500).numpy()).save(tmp_path / "large.tiff")
    assert read(tmp_path / "large.tiff")[0, [0, 4, 8, 12], 0].tolist() == [
        255,
        0,
        234,
        255,
    ]  # of -2500 to 500: 234 is 2750 * 255 / 3000


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(depth, colour_type, line, *chunks):
    """A PNG of 16 x 16 equal lines, which Pillow would not write."""
    rows = zlib.compress((b"\0" + line) * 16)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, depth, colour_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_one_shade_that_is_transparent(tmp_path):
    for depth, line, clear in ((8, b"\x40" * 8 + b"\x80" * 8, 0x40), (16, b"\x40\x40" * 8 + b"\x80\x80" * 8, 0x4040)):
        (tmp_path / "clear.png").write_bytes(png(depth, 0, line, chunk(b"tRNS", struct.pack(">H", clear))))
        page = read(tmp_path / "clear.png")
        assert (page[:, :, :8] == 255).all()
        assert (page[:, :, 8:] == 0x80).all()


@pytest.mark.parametrize(("depth", "clear", "line"), [(4, 3, b"\x35" * 8), (2, 2, b"\x99" * 4)])
def test_a_transparent_shade_of_few_bits(tmp_path, depth, clear, line):
    (tmp_path / "clear.png").write_bytes(png(depth, 0, line, chunk(b"tRNS", struct.pack(">H", clear))))
    page = read(tmp_path / "clear.png")
    assert (page[:, :, ::2] == 255).all()
    assert (page[:, :, 1::2] == 85).all()


def test_sixteen_bits_a_colour(tmp_path):
    (tmp_path / "deep.png").write_bytes(png(16, 2, b"\xff\xff\x80\x00\x00\x00" * 16))
    assert read(tmp_path / "deep.png")[:, 3, 3].tolist() == [255, 128, 0]


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (50, 50), (255, 0, 0, 128)).save(tmp_path / "half.png")
    assert (read(tmp_path / "half.png")[:, 5, 5] - torch.tensor([255, 127, 127])).abs().max() <= 1


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [(1, None), *enumerate((Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
     Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_90, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_270), 2)],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["jpg", "png", "tiff"])
def test_a_picture_lying_on_its_side_is_turned(tmp_path, orientation, turn, ending):
    """A camera that lies on its side saves the picture as `turn` gives it, and says how to turn it back."""
    upright = corners("RGB", (200, 96))
    exif = Image.Exif()
    exif[0x0112] = orientation
    (upright if turn is None else upright.transpose(turn)).save(tmp_path / f"a.{ending}", exif=exif)
    assert_seen(read(tmp_path / f"a.{ending}"), [RED, GREEN, BLUE, WHITE], 12 if ending == "jpg" else 0)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF", "MPO"])
def test_an_animation_is_its_first_frame(tmp_path, kind):
    frames = [corners("RGB"), *(Image.new("RGB", (96, 96), "black") for _ in range(2))]
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(tmp_path / "a.png", kind, save_all=True, append_images=frames[1:], **options)
    assert_seen(read(tmp_path / "a.png"), [RED, GREEN, BLUE, WHITE], 12 if kind == "MPO" else 0)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_picture_of_the_size_keeps_its_pixels(tmp_path, channels, mode):
    pixels = torch.randint(256, (64, 64, channels), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Image.fromarray(pixels.squeeze(-1).numpy())
    assert picture.mode == mode
    for picture_mode in (mode, "RGBA"):
        picture.convert(picture_mode).save(tmp_path / "a.png")
        assert torch.equal(read(tmp_path / "a.png", 64, channels), pixels.permute(2, 0, 1))


def test_the_middle_is_cut_out_pixel_by_pixel(tmp_path):
    pixels = torch.randint(256, (64, 81, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    for turned in (False, True):
        page = pixels.transpose(0, 1).contiguous() if turned else pixels
        Image.fromarray(page.numpy()).save(tmp_path / "a.png")
        middle = page[8:72] if turned else page[:, 8:72]
        assert torch.equal(read(tmp_path / "a.png", 64), middle.permute(2, 0, 1))


@pytest.mark.parametrize(
    ("ending", "side"), [("png", 512), ("png", 500), ("jpg", 512), ("jpg", 2048), ("tiff", 130), ("gif", 2048)]
)
def test_fine_stripes_become_grey_and_do_not_beat(tmp_path, ending, side):
    """Stripes finer than the pixels of the result: without antialiasing they would come out as coarse ones."""
    columns = (torch.arange(side) % 2 * 255).to(torch.uint8)
    Image.fromarray(columns.repeat(side, 1).contiguous().numpy()).save(tmp_path / f"a.{ending}", quality=95)
    inner = read(tmp_path / f"a.{ending}", 64)[:, 2:-2, 2:-2].float()
    assert (inner - 127.5).abs().max() < 12


def test_an_edge_stays_where_it_is_and_sharp(tmp_path):
    page = Image.new("RGB", (1024, 512), "black")
    page.paste("white", (512, 0, 1024, 512))
    for ending in ("png", "jpg"):
        page.save(tmp_path / f"a.{ending}", quality=95)
        row = read(tmp_path / f"a.{ending}", 64)[0, 30]
        assert row[:31].max() < 25
        assert row[33:].min() > 230


def test_very_long_pictures(tmp_path):
    for size in ((20_000, 1), (1, 20_000), (3, 2), (1, 1)):
        Image.new("RGB", size, "red").save(tmp_path / "a.png")
        assert (read(tmp_path / "a.png", 8) == torch.tensor(RED).view(3, 1, 1)).all()


def test_damaged_exif_data_do_not_matter(tmp_path):
    exif = b"Exif\0\0II*\0" + bytes(range(40))
    Image.new("RGB", (20, 20), "red").save(tmp_path / "a.jpg", exif=exif)
    assert read(tmp_path / "a.jpg")[0].min() > 240


def test_a_picture_that_is_cut_short_is_refused(tmp_path):
    file = io.BytesIO()
    corners("RGB", (400, 400)).save(file, "JPEG")
    (tmp_path / "a.jpg").write_bytes(file.getvalue()[:-1500])
    with pytest.raises(DataError, match="cannot be read as a picture"):
        read(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["corners.heic", "turned.heic"])
def test_a_phones_heic_comes_upright(name):
    """Both were made of the corners; the second lies on its side and says so."""
    assert_seen(read(DATA / "heic" / name), [RED, GREEN, BLUE, WHITE], 12)


def test_a_photograph_of_fifty_megapixels_is_read(tmp_path):
    page = Image.new("RGB", (8192, 6144), "red")
    page.paste("blue", (4096, 0, 8192, 6144))
    page.save(tmp_path / "a.jpg", quality=90)
    pixels = read(tmp_path / "a.jpg")
    assert pixels[:, 8, 2].tolist() == pytest.approx([254, 0, 0], abs=6)
    assert pixels[:, 8, 13].tolist() == pytest.approx([0, 0, 254], abs=6)
    header = struct.pack(">IIBBBBB", 16_000, 10_000, 8, 2, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=r"a\.png: 16,000 x 10,000 pixels may take 1\.9 GB of memory, expected at most"):
        read(tmp_path / "a.png")
