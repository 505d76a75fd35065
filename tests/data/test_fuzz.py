"""Rubbish in IDX files and pictures: each ends in images or in one error, whatever the bytes, and takes little memory for it."""

import functools
import gzip
import io
import lzma
import struct
import zlib
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.fuzz import attempt, cases
from vaecli import registry
from vaecli.data.folder import FOLDER
from vaecli.data.idx import read_images, read_labels
from vaecli.data.picture import read_mask
from vaecli.errors import DataError
from vaecli.image_shape import GREY_28, ImageShape

IDX = {"images": (read_images, 0x803, (2, 28, 28)), "labels": (read_labels, 0x801, (2,))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("what", IDX)
class TestIdx:
    @cases(150)
    @given(data=st.binary(max_size=200), ending=st.sampled_from(["", ".gz", ".xz"]))
    def test_random_bytes(self, folder, what, data, ending):
        attempt(IDX[what][0], folder / f"file{ending}", data, DataError)

    @cases(150)
    @given(sizes=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=3), body=st.binary(max_size=100))
    def test_random_sizes(self, folder, what, sizes, body):
        read, magic, shape = IDX[what]
        attempt(read, folder / "file", struct.pack(f">I{len(shape)}I", magic, *sizes[: len(shape)]) + body, DataError)

    @cases(100)
    @given(data=st.data(), ending=st.sampled_from([".gz", ".xz"]))
    def test_flipped_bits_in_packed_files(self, folder, what, data, ending):
        read, magic, shape = IDX[what]
        plain = struct.pack(f">I{len(shape)}I", magic, *shape) + bytes(2 if len(shape) == 1 else 1568)
        packed = bytearray((gzip.compress if ending == ".gz" else lzma.compress)(plain))
        packed[data.draw(st.integers(0, len(packed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        attempt(read, folder / f"file{ending}", bytes(packed), DataError)

    @pytest.mark.parametrize("ending", [".gz", ".xz"])
    def test_a_bomb(self, folder, what, ending):
        """A file of some kilobytes that unpacks to 300 MB, more than its header says."""
        read, magic, shape = IDX[what]
        plain = struct.pack(f">I{len(shape)}I", magic, *shape) + bytes(300_000_000)
        packed = gzip.compress(plain, 1) if ending == ".gz" else lzma.compress(plain, preset=0)
        assert len(packed) < 2_000_000
        del plain
        attempt(read, folder / f"file{ending}", packed, DataError)

    def test_an_xz_that_wants_a_gigabyte_to_be_unpacked(self, folder, what):
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 27}]
        data = bytearray(lzma.compress(b"abc", filters=filters))
        attempt(IDX[what][0], folder / "file.xz", bytes(data), DataError)


def picture(path):
    return registry.load("dataset", "mnist").picture(path, GREY_28, None).pixels


def drawn(kind="PNG", size=(40, 30)):
    page = Image.new("L", size, 255)
    page.paste(0, (10, 10, 20, 25))
    file = io.BytesIO()
    page.save(file, kind)
    return file.getvalue()


def png_bomb(side):
    """A black picture of side^2 pixels, a bit each, in a few hundred kilobytes: the packed zeros of some lines, many times."""
    lines = 600
    zeros, packer = bytes((side // 8 + 1) * lines), zlib.compressobj(9, wbits=-15)
    block, repeats = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH), side // lines
    checksum = functools.reduce(lambda value, _: zlib.adler32(zeros, value), range(repeats), 1)
    packed = b"\x78\xda" + block * repeats + b"\x03\x00" + struct.pack(">I", checksum)
    chunks = (b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def test_the_bomb_is_a_picture():
    with Image.open(io.BytesIO(png_bomb(1200))) as page:
        assert page.size == (1200, 1200)
        assert page.getextrema() == (0, 0)
    assert len(png_bomb(60_000)) < 1_000_000


@pytest.mark.parametrize(
    "read", [picture, partial(read_mask, shape=GREY_28), partial(FOLDER.picture, shape=ImageShape(3, 64, 64), pixel_range=None)]
)
class TestPictures:
    @cases(100)
    @given(data=st.binary(max_size=300))
    def test_random_bytes(self, folder, read, data):
        attempt(read, folder / "picture.png", data, DataError)

    @pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP", "AVIF"])
    @cases(40)
    @given(place=st.integers(0, 2**32), bit=st.integers(0, 7), cut=st.booleans())
    def test_flipped_bits_and_cuts(self, folder, read, kind, place, bit, cut):
        whole = bytearray(drawn(kind))
        place %= len(whole)
        whole[place] ^= 1 << bit
        attempt(read, folder / "picture", bytes(whole[:place] if cut else whole), DataError)

    def test_a_bomb(self, folder, read):
        attempt(read, folder / "picture.png", png_bomb(60_000), DataError)

    def test_a_part_that_says_it_has_a_gigabyte(self, folder, read):
        data = bytearray(drawn())
        start = data.index(b"IDAT") - 4
        data[start : start + 4] = (1 << 30).to_bytes(4)
        attempt(read, folder / "picture.png", bytes(data), DataError)

    def test_a_file_that_another_program_would_have_to_read(self, folder, read):
        data = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(/tmp/x) run\n%%EOF\n"
        attempt(read, folder / "picture.eps", data, DataError)
