import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from vaecli.data import load_images
from vaecli.data.mnist import MNIST
from vaecli.data.picture import read_mask
from vaecli.errors import DataError
from vaecli.image_shape import GREY_28


def read_mnist(path):
    return MNIST.picture(path, GREY_28, None).pixels


def as_picture(pixels):
    return Image.frombytes("L", (28, 28), pixels.numpy().tobytes())


def centre(pixels):
    page = pixels.view(28, 28).float()
    at = torch.arange(28) + 0.5
    return float((page.sum(1) * at).sum() / page.sum()), float((page.sum(0) * at).sum() / page.sum())


def drawn_three(size, paper, ink, mode="RGB"):
    picture = Image.new(mode, size, paper)
    font = ImageFont.load_default(min(size) * 0.6)
    ImageDraw.Draw(picture).text((size[0] * 0.1, size[1] * 0.1), "3", ink, font)
    return picture


def test_a_saved_digit_comes_back_as_it_was(tmp_path):
    for index, pixels in enumerate(load_images("mnist", "test", limit=20).pixels):
        as_picture(pixels).save(tmp_path / f"{index}.png")
        assert torch.equal(read_mnist(tmp_path / f"{index}.png"), pixels)


def test_a_digit_enlarged_and_moved_comes_back_nearly(tmp_path):
    for pixels in load_images("mnist", "test", limit=20).pixels:
        page = Image.new("L", (400, 300))
        page.paste(as_picture(pixels).resize((224, 224), Image.Resampling.NEAREST), (150, 40))
        page.save(tmp_path / "big.png")
        back = read_mnist(tmp_path / "big.png").float()
        # one pixel of shift at the most: the makers rounded the centre of mass too
        shifts = [torch.roll(back.view(28, 28), (down, right), (0, 1)).flatten() for down in (-1, 0, 1) for right in (-1, 0, 1)]
        best = max(float(torch.corrcoef(torch.stack((shift, pixels.float())))[0, 1]) for shift in shifts)
        assert best > 0.95


@pytest.mark.parametrize(
    ("mode", "paper", "ink"),
    [("RGB", "white", "black"), ("RGB", "black", "white"), ("L", 230, 20), ("1", 1, 0), ("RGBA", (0, 0, 0, 0), "black"),
     ("RGBA", (0, 0, 0, 0), "white"), ("LA", (0, 0), (255, 255)),
        ("P", "white", "blue"), ("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)),
     ("I;16", 65535, 0), ("I", 0, 60000), ("F", 0.0, 1.0)],
)  # fmt: skip
def test_every_mode_becomes_white_on_black_in_the_middle(tmp_path, mode, paper, ink):
    if mode in ("I;16", "I", "F"):
        mask = drawn_three((200, 150), 0, 255, "L")
        picture = Image.new(mode, mask.size, paper)
        picture.paste(ink, mask=mask.point(lambda v: 255 * (v > 127)))
    else:
        picture = drawn_three((200, 150), paper, ink, "RGB" if mode == "P" else mode).convert(mode)
    path = tmp_path / f"three.{'tiff' if mode in ('F', 'I', 'CMYK', 'I;16') else 'png'}"
    picture.save(path)
    pixels = read_mnist(path)
    page = pixels.view(28, 28)
    rows, columns = (page > 25).any(1).nonzero(), (page > 25).any(0).nonzero()
    assert int(pixels.max()) == 255
    assert int(rows.max() - rows.min()) + 1 in (19, 20)
    assert int(columns.max() - columns.min()) + 1 <= 20
    assert all(abs(at - 14) <= 0.75 for at in centre(pixels))
    assert int(page[0].max()) == int(page[:, 0].max()) == 0


def test_uneven_paper_is_paper(tmp_path):
    picture = drawn_three((300, 300), 0, 255, "L")
    shade = torch.linspace(200, 250, 300).repeat(300, 1)
    ink = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(300, 300).float() / 255
    noisy = (shade * (1 - ink) + 30 * ink).round().to(torch.uint8)
    Image.frombytes("L", (300, 300), noisy.numpy().tobytes()).save(tmp_path / "photo.png")
    page = read_mnist(tmp_path / "photo.png").view(28, 28)
    assert int(page[:3].max()) == int(page[-3:].max()) == 0


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "text.png").write_text("hello")
    Image.new("L", (50, 50), 255).save(tmp_path / "blank.png")
    good = tmp_path / "good.png"
    drawn_three((200, 200), "white", "black").save(good)
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:300])
    Image.new("1", (20_000, 8_000)).save(tmp_path / "bomb.png")
    (tmp_path / "larger.gif").write_bytes(b"GIF89a" + b"\xff" * 4 + b"\0" * 3 + b"," + b"\0" * 20)
    for name, words in {
        "text.png": "cannot be read as a picture",
        "blank.png": "blank",
        "cut.png": "cannot be read",
        "bomb.png": "20,000 x 8,000 pixels may take 1.9 GB of memory, expected at most",
        "larger.gif": r"larger\.gif: found more than [0-9,]* pixels, the most that Pillow opens",
        "none.png": "no such file",
        ".": "cannot be read",
    }.items():
        with pytest.raises(DataError, match=words):
            read_mnist(tmp_path / name)


@pytest.mark.parametrize(("black", "white"), [(0, 1), (1, 2), (0, 127), (200, 255)])
@pytest.mark.parametrize("size", [28, 56])
def test_of_two_shades_of_a_mask_the_lighter_one_is_white(tmp_path, black, white, size):
    page = Image.new("L", (size, size), black)
    page.paste(white, (0, 0, size // 2, size))
    page.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", GREY_28).view(28, 28).sum(0).tolist() == [28] * 14 + [0] * 14


@pytest.mark.parametrize("mode", ["LAB", "CMYK", "YCbCr", "RGB", "LA", "1"])
def test_a_mask_may_have_any_colours(tmp_path, mode):
    white = {"LAB": (255, 128, 128), "CMYK": (0, 0, 0, 0), "YCbCr": (255, 128, 128), "RGB": (255,) * 3, "LA": (255, 255), "1": 1}
    black = {"LAB": (0, 128, 128), "CMYK": (0, 0, 0, 255), "YCbCr": (0, 128, 128), "RGB": (0,) * 3, "LA": (0, 255), "1": 0}
    page = Image.new(mode, (56, 56), black[mode])
    page.paste(white[mode], (0, 0, 28, 56))
    page.save(tmp_path / "mask.tiff")
    mask = read_mask(tmp_path / "mask.tiff", GREY_28).view(28, 28)
    assert mask[:, :14].all()
    assert not mask[:, 14:].any()
