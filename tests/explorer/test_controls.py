"""The explorer's switches, label, sliders, filmstrip and speech."""

from itertools import pairwise

import pytest
import torch

from tests.browser import in_browser, until, visit
from tests.explorer.page import CANVAS, choose, click, frame, mouse, place, text, z

pytestmark = in_browser


def test_a_slider_moves_one_latent(wide):
    choose(wide, 3)
    script = (
        "const s = document.querySelectorAll('[data-part=sliders] input')[2]; s.value = 1.5; s.dispatchEvent(new Event('input'));"
        "return s.name.slice(1)"
    )
    latent = int(wide.execute_script(script)) - 1
    expected = torch.zeros(20)
    expected[latent] = 1.5
    assert torch.equal(z(wide), expected)


def test_the_label_changes_the_picture_and_is_escaped(wide):
    choose(wide, 1)
    decoded = "return document.querySelector('[data-part=decoded]').toDataURL()"
    options = "return Array.from(document.querySelector('[data-part=label]').options, (o) => o.text)"
    assert wide.execute_script(options) == ["ant", "bee", "cat & <dog>"]  # no "unknown", which it never saw
    before = wide.execute_script(decoded)
    pick = "const s = document.querySelector('[data-part=label]'); s.value = '2'; s.dispatchEvent(new Event('change'));"
    wide.execute_script(pick)
    frame(wide)
    assert wide.execute_script(decoded) != before


def test_the_decoder_draws_behind_the_points(wide):
    wide.execute_script("document.querySelector('[data-part=backdrop]').click()")
    until(lambda: wide.execute_script(f"return {CANVAS}.dataset.tiles") == "1")
    choose(wide, 0)
    script = (
        "const e = window.explorer, side = document.querySelector('[data-part=space]').clientWidth, n = Math.floor(side / 34);"
        "for (const name of ['circles']) document.querySelector(`[data-part=${name}]`).click();"
        "for (const label of e.images.names.keys()) e.state.hidden.add(label);"
        "e.state.z.fill(e.view.limit); e.soon();"
        "return [n, side, e.view.limit]"
    )
    across, side, limit = wide.execute_script(script)
    frame(wide)
    column, row = 3, 5
    at = [((column + 0.5) / across * 2 - 1) * limit, (1 - (row + 0.5) / across * 2) * limit]
    found = wide.execute_script(
        f"const ratio = devicePixelRatio, cell = {side} / {across}, c = {CANVAS}.getContext('2d');"
        "const grey = (x, y) => c.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data[0] / 255;"
        "return Array.from({ length: 784 }, (_, i) => grey((arguments[0] + (i % 28 + 0.5) / 28) * cell,"
        "  (arguments[1] + (Math.floor(i / 28) + 0.5) / 28) * cell))",
        column,
        row,
    )
    expected = wide.execute_script("return Array.from(window.explorer.model.mean(arguments[0], -1))", at)
    assert (torch.tensor(found) - torch.tensor(expected)).abs().median() < 0.01


def test_the_priors_circles_can_be_switched_off(wide):
    image = f"return {CANVAS}.toDataURL()"
    with_circles = wide.execute_script(image)
    wide.execute_script("document.querySelector('[data-part=circles]').click()")
    frame(wide)
    without = wide.execute_script(image)
    assert without != with_circles
    wide.execute_script("document.querySelector('[data-part=circles]').click()")
    frame(wide)
    assert wide.execute_script(image) == with_circles


def test_a_filmstrip_from_a_to_b_can_be_scrubbed_and_played(wide):
    def press(name):
        wide.execute_script(f"document.querySelector('[data-film={name}]').click()")

    def go(*values):
        wide.execute_script("window.explorer.move(arguments[0])", list(values))

    canvas = wide.execute_script(f"return {CANVAS}")
    press("a")
    go(-1, 0.5)
    canvas.send_keys(" ")
    assert wide.execute_script("return document.querySelector('[data-film=strip]').hidden")
    go(1, 1.5)
    canvas.send_keys(" ")
    strip = "const s = document.querySelector('[data-film=strip]'); return [s.width, s.height, s.hidden]"
    assert wide.execute_script(strip) == [9 * 28, 28, False]
    first = wide.execute_script(
        "const c = document.querySelector('[data-film=strip]').getContext('2d');"
        "return Array.from(c.getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0)"
    )
    expected = wide.execute_script("return Array.from(window.explorer.model.mean([-1, 0.5], -1))")
    torch.testing.assert_close(torch.tensor(first) / 255, torch.tensor(expected), atol=3e-3, rtol=0)
    scrub = "const s = document.querySelector('[data-film=share]'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));"
    wide.execute_script(scrub, 0.5)
    assert z(wide).tolist() == pytest.approx([0, 1])
    wide.execute_script(scrub, 0)
    press("play")
    until(lambda: -0.9 < float(z(wide)[0]) < 1)
    press("play")
    stopped = z(wide)
    frame(wide)
    assert torch.equal(z(wide), stopped)


def test_classes_can_be_left_out(wide):
    nearest = "return window.explorer.images.labels[document.querySelector('[data-explorer]').dataset.nearest]"
    frame(wide)
    label = wide.execute_script(nearest)
    button = wide.execute_script("return document.querySelectorAll('[data-part=legend] button')[arguments[0]]", label)
    assert button.get_attribute("aria-pressed") == "true"
    before = wide.execute_script(f"return {CANVAS}.toDataURL()")
    wide.execute_script("arguments[0].click()", button)
    frame(wide)
    assert button.get_attribute("aria-pressed") == "false"
    assert wide.execute_script(nearest) != label
    assert wide.execute_script(f"return {CANVAS}.toDataURL()") != before


def test_it_speaks_at_most_every_600_ms_and_paints_the_points_once(wide):
    script = """const done = arguments[0], said = document.querySelector('[role=status]'), times = [], e = window.explorer;
      const observer = new MutationObserver(() => times.push(performance.now()));
      observer.observe(said, {childList: true, characterData: true, subtree: true});
      const fill = CanvasRenderingContext2D.prototype.fillRect; let fills = 0, frames = 0;
      CanvasRenderingContext2D.prototype.fillRect = function (...box) { fills++; fill.apply(this, box); };
      const start = performance.now();
      const step = () => { frames++; e.move([Math.sin(frames / 9), Math.cos(frames / 9)]);
        if (performance.now() - start < 2500) requestAnimationFrame(step);
        else setTimeout(end, 900); };
      const end = () => { CanvasRenderingContext2D.prototype.fillRect = fill;
        done([times, fills, frames, said.textContent, e.state.z[0]]); };
      step();"""
    times, fills, frames, last, right = wide.execute_async_script(script)
    assert len(times) >= 1
    assert all(later - earlier >= 590 for earlier, later in pairwise(times))
    assert frames > 10
    assert fills <= frames + 2  # one a frame clears the canvas; the points are painted beforehand
    assert f"{right:.2f}".replace("-", "\u2212") in last


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_it_is_sharp_at_any_pixel_ratio(browser, file, scale):
    page = visit(browser, file, 390, 844, scale=scale)
    frame(page)
    assert page.execute_script(f"return {CANVAS}.width / {CANVAS}.clientWidth") == pytest.approx(scale, rel=0.01)


def test_without_javascript_there_is_a_picture_and_a_sentence(browser, file):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(file.as_uri())
        from selenium.webdriver.common.by import By

        still = browser.find_element(By.CSS_SELECTOR, ".still")
        assert still.is_displayed() and "With JavaScript" in still.text
        assert still.find_element(By.TAG_NAME, "img").size["width"] > 200
        assert not browser.find_element(By.CSS_SELECTOR, "[data-explorer]").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_and_b_are_placed_by_clicks(wide):
    hint = "return document.querySelector('.film-hint').textContent"
    assert wide.execute_script(hint) == "Press A or B, then click its place in the plane."
    wide.execute_script("document.querySelector('[data-film=a]').click()")
    assert "the place of A" in wide.execute_script(hint)
    mouse(wide, "mouseMoved", place(wide, 2, 2))  # on the way from the button, z follows the mouse
    click(wide, place(wide, -2.5, 2.5))
    a = z(wide)
    assert "the place of B" in wide.execute_script(hint)
    click(wide, place(wide, 2.5, -2.5))
    ends = wide.execute_script("const { a, b } = window.explorer.state.ends; return [Array.from(a), Array.from(b)]")
    torch.testing.assert_close(torch.tensor(ends), torch.stack((a, z(wide))))
    assert (torch.tensor(ends) - torch.tensor([[-2.5, 2.5], [2.5, -2.5]])).abs().max() < 0.3
    assert wide.execute_script(hint) == ""
    wide.execute_script("document.querySelector('[data-film=b]').click()")
    click(wide, place(wide, 0, 1))
    assert wide.execute_script("return Array.from(window.explorer.state.ends.a)") == pytest.approx(a.tolist())
    assert wide.execute_script("return Array.from(window.explorer.state.ends.b)") == pytest.approx(z(wide).tolist())


def test_without_classes_shown_no_image_is(wide):
    wide.execute_script("for (const b of document.querySelectorAll('[data-part=legend] button')) b.click()")
    frame(wide)
    assert text(wide, "nearest") == "no image is shown"
    for part in ("image", "reconstruction"):
        picture = f"const c = document.querySelector('[data-part={part}]');"
        shown = wide.execute_script(
            picture + "return Math.max(...c.getContext('2d').getImageData(0, 0, 28, 28).data.filter((_, i) => i % 4 < 3))"
        )
        assert shown == 0


def test_depth_has_a_slider(wide):
    choose(wide, 3)
    script = "const s = document.querySelector('[data-part=depth] input'); s.value = -1.25; s.dispatchEvent(new Event('input'));"
    wide.execute_script(script)
    frame(wide)
    axes = torch.tensor(wide.execute_script("return window.explorer.space.axes"))
    assert (axes @ z(wide)).tolist() == pytest.approx([0, 0, -1.25], abs=1e-4)
    assert text(wide, "depth") == "depth\u22121.25"
    choose(wide, 0)
    assert wide.execute_script("return document.querySelector('[data-part=depth]').hidden")


def test_sliders_and_turns_leave_z_inside_the_canvas(wide):
    choose(wide, 3)
    wide.execute_script(
        "for (const s of document.querySelectorAll('[data-part=sliders] input')) {"
        "  s.value = s.max; s.dispatchEvent(new Event('input')); }"
    )
    for _ in range(8):
        wide.execute_script(f"{CANVAS}.dispatchEvent(new KeyboardEvent('keydown', {{key: 'd'}}))")
        where = wide.execute_script(
            "const { view, state } = window.explorer;"
            "return [...view.plane(state.z), view.depth(state.z)].map((v) => v / view.limit)"
        )
        assert max(map(abs, where)) < 1.0001


def test_only_the_status_is_read_aloud_as_z_moves(wide):
    choose(wide, 3)
    assert wide.execute_script("return document.querySelectorAll('.explorer output').length") == 0


def test_the_plane_is_light_on_paper(browser, file):
    page = visit(browser, file, dark=True)
    corner = f"return Array.from({CANVAS}.getContext('2d').getImageData(3, 3, 1, 1).data)"
    assert max(page.execute_script(corner)[:3]) < 60
    page.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        until(lambda: page.execute_script(corner)[:3] == [255, 255, 255])
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
