"""A person's own drawing: prepared as vaecli prepares pictures, encoded as the run's encoder does."""

import base64
import io
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tests.browser import in_browser, visit
from tests.explorer.conftest import run_with, settings_of_all
from tests.explorer.page import choose, frame, mouse, touch, z
from vaecli import registry
from vaecli.data.picture import Drawing
from vaecli.explorer import networks
from vaecli.explorer.networks import levels, packed
from vaecli.explorer.page import explore
from vaecli.explorer.payload import payload
from vaecli.seeding import generator

pytestmark = in_browser

SEVEN = ((60, 60), (220, 70), (180, 130), (130, 250))
DRAWABLE = [name for name, _ in settings_of_all() if not name.startswith("colour")]


@pytest.fixture
def page(browser, explored):
    return visit(browser, explored[0])


def on_pad(page, places):
    """Pixels of the window at places of the pad, each on [0, 280]."""
    script = (
        "const pad = document.querySelector('[data-own=pad]'); pad.scrollIntoView({block: 'end'});"
        "const b = pad.getBoundingClientRect(), s = pad.clientWidth / 280;"
        "return arguments[0].map(([x, y]) => [b.left + 1 + x * s, b.top + 1 + y * s])"
    )
    return page.execute_script(script, places)


def draw(page, places=SEVEN):
    first, *others = on_pad(page, places)
    mouse(page, "mousePressed", first, "left")
    for at in others:
        mouse(page, "mouseMoved", at, "left")
    mouse(page, "mouseReleased", others[-1] if others else first, "left")
    frame(page)


def pad(page, folder):
    """The file of the pad as it is now."""
    url = page.execute_script("return document.querySelector('[data-own=pad]').toDataURL()")
    file = folder / "pad.png"
    file.write_bytes(base64.b64decode(url.split(",")[1]))
    return file


@pytest.mark.parametrize("name", DRAWABLE)
def test_the_encoder_is_the_models(page, explored, name):
    choose(page, list(explored[1]).index(name))
    run, images = explored[1][name]
    x = run.model.observe(images.pixels, generator("cpu", "explore", 0))
    for index, label in ((0, 1), (1, -1), (39, 2)):
        with torch.inference_mode():
            q = run.model.posterior(x[index : index + 1], run.model.condition(torch.tensor([label])))
        script = (
            "const e = window.explorer, { loc, logScale } = e.model.encode(e.images.of(arguments[0]), arguments[1]);"
            "return [Array.from(loc), Array.from(logScale)]"
        )
        found = page.execute_script(script, index, label)
        expected = torch.cat((q.loc, q.log_scale))
        assert expected.std() > 0.05
        torch.testing.assert_close(torch.tensor(found), expected, atol=1e-2, rtol=0)


@pytest.mark.parametrize("drawing", [Drawing(20, True), Drawing(28, False), Drawing(24, False)], ids=str)
@pytest.mark.parametrize("places", [SEVEN, ((20, 140), (260, 150)), ((200, 30),)], ids=["seven", "dash", "dot"])
def test_a_drawing_is_prepared_as_pictures_are(wide, tmp_path, drawing, places):
    draw(wide, places)
    run_shape = run_with(tmp_path, "any", hidden=(5,))[1].shape
    for side in (28, 40):
        expected = drawing.read(pad(wide, tmp_path), replace(run_shape, height=side, width=side))
        script = (
            "const c = document.querySelector('[data-own=pad]'), rgba = c.getContext('2d').getImageData(0, 0, 560, 560).data;"
            "return Array.from(prepared(Uint8Array.from({length: 313600}, (_, i) => rgba[4 * i]), 560, arguments[0], arguments[1]))"
        )
        found = wide.execute_script(script, side, {"box": drawing.box, "byMass": drawing.centred_by_mass, "light": False})
        assert max(found) == 255
        assert (torch.tensor(found) - expected.int()).abs().max() <= 1


def test_a_drawing_has_a_place_an_ellipse_and_a_reconstruction(wide, tmp_path, trained):
    from vaecli.runs.run import read_run

    space = "return document.querySelector('[data-part=space]').toDataURL()"
    run = read_run(trained)
    assert wide.execute_script("return document.querySelector('[data-own=clear]').disabled")
    before = wide.execute_script(space)
    draw(wide)
    pixels = registry.load("dataset", run.config.dataset).picture(pad(wide, tmp_path), run.config.image_shape, None).pixels
    x = run.model.observe(pixels[None], torch.Generator())
    with torch.inference_mode():
        q = run.model.posterior(x)
        log_prob = float(run.model.likelihood(q.loc).log_prob(x))
    torch.testing.assert_close(z(wide), q.loc[0], atol=1e-2, rtol=0)
    words = wide.execute_script("return document.querySelector('[data-own=words]').textContent").replace("\u2212", "-")
    assert float(words.split("log p(x | z) = ")[1].split()[0]) == pytest.approx(log_prob, abs=1)
    seen = wide.execute_script(
        "const c = document.querySelector('[data-own=seen]').getContext('2d').getImageData(0, 0, 28, 28).data;"
        "return Array.from({length: 784}, (_, i) => c[4 * i])"
    )
    assert (torch.tensor(seen) / 255 - x[0]).abs().sum() <= 2  # a pixel or two may lie at the threshold
    wide.execute_script("window.explorer.home()")
    frame(wide)
    assert wide.execute_script(space) != before  # the ellipse stays
    wide.execute_script("document.querySelector('[data-own=clear]').click()")
    frame(wide)
    assert wide.execute_script("return window.explorer.own.now") is None
    assert wide.execute_script(space) == before


def test_a_finger_draws_and_the_page_stays(phone):
    first, *others = on_pad(phone, SEVEN)
    before = phone.execute_script("return scrollY")
    touch(phone, "touchStart", first)
    for at in others:
        touch(phone, "touchMove", at)
    touch(phone, "touchEnd")
    frame(phone)
    assert phone.execute_script("return Boolean(window.explorer.own.now)")
    assert phone.execute_script("return scrollY") == before
    box = "const b = document.querySelector('[data-part=decoded]').getBoundingClientRect(); return [b.top, innerHeight - b.bottom]"
    assert min(phone.execute_script(box)) >= 0
    on = "return document.elementFromPoint(...arguments[0]).dataset.own"
    assert [phone.execute_script(on, at) for at in (first, *others)] == ["pad"] * 4  # nothing covers the pad


def test_the_label_and_the_run_say_how_a_drawing_is_encoded(wide):
    draw(wide)
    choose(wide, 1)  # of one latent, with labels
    loc = "return Array.from(window.explorer.own.now.loc)"
    first = wide.execute_script(loc)
    assert len(first) == 1
    wide.execute_script(
        "const s = document.querySelector('[data-part=label]'); s.value = '2'; s.dispatchEvent(new Event('change'))"
    )
    frame(wide)
    assert wide.execute_script(loc) != first


def test_where_a_person_cannot_draw_there_is_no_pad(page, explored):
    visible = "return document.querySelector('[data-part=own]').getClientRects().length > 0"
    choose(page, list(explored[1]).index("colour"))
    assert not page.execute_script(visible)
    choose(page, 0)
    assert page.execute_script(visible)


def test_pictures_of_a_persons_own_are_drawn_on_all_of_the_pad_dark_on_light_if_they_are(browser, tmp_path):
    run, images = run_with(tmp_path, "folder", dataset="folder", colour="grey", image_size=32, likelihood="beta", hidden=(30,))
    path = tmp_path / "page.html"
    path.write_text(explore([run], [replace(images, pixels=255 - images.pixels)]))
    page = visit(browser, path)
    draw(page, ((140, 140), (140, 150)))
    file = pad(page, tmp_path)
    turned = io.BytesIO()
    Image.eval(Image.open(file).convert("L"), lambda v: 255 - v).save(turned, "PNG")
    (tmp_path / "turned.png").write_bytes(turned.getvalue())
    expected = registry.load("dataset", "folder").picture(tmp_path / "turned.png", images.shape, None).pixels
    found = torch.tensor(page.execute_script("return Array.from(window.explorer.own.now.bytes)"))
    assert found.float().mean() > 200
    assert (found - expected.int()).abs().max() <= 20  # the page averages, vaecli sharpens
    assert page.execute_script("return getComputedStyle(document.querySelector('[data-own=pad]')).filter") == "invert(1)"


@pytest.mark.parametrize("bits", [6, 7, 9, 12])
def test_weights_of_few_bits_are_unpacked(page, bits):
    weight = torch.randn(7, 11, generator=generator("cpu", "weights", bits))
    rows, scale = levels(weight, bits)
    coded = {"bits": bits, "levels": networks.base64_of(packed(rows, bits)), "scale": networks.base64_of(scale)}
    found = torch.tensor(page.execute_script("return Array.from(weightsOf(arguments[0]))", coded)).view(7, 11)
    torch.testing.assert_close(found, rows * scale[:, None])
    assert (found - weight).abs().max() <= 0.51 * scale.max()


def test_a_page_of_the_baseline_is_about_a_megabyte(tmp_path):
    import vaecli

    run = vaecli.load("baseline")
    data = payload([run], [run.images("test")[:500]])["spaces"][0]
    assert [step["weight"].get("bits", 16) for step in data["decoder"] if "weight" in step] == [16, 9]
    assert [step["weight"].get("bits", 16) for step in data["encoder"] if "weight" in step] == [7, 16]
