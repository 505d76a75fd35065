"""Rubbing out a part of an image, by mouse, finger and keys."""

from itertools import pairwise

import pytest
import torch

from tests.browser import in_browser, until, visit
from tests.explorer.conftest import KINDS
from tests.explorer.page import choose, frame, mouse, opened, posterior, press, touch, z

pytestmark = in_browser


def pixels(page, canvas, width=28):
    script = (
        "const c = document.querySelectorAll('canvas')[arguments[0]], w = arguments[1];"
        "const rgba = c.getContext('2d').getImageData(0, 0, w, w).data; return Array.from({length: w * w}, (_, i) => rgba[4 * i])"
    )
    number = page.execute_script("return Array.from(document.querySelectorAll('canvas')).indexOf(arguments[0])", canvas)
    return torch.tensor(page.execute_script(script, number, width)).view(width, width)


def test_what_is_left_is_kept_and_the_rest_is_drawn_from_the_posterior(rubbing, two):
    opened(rubbing)
    rubbing.execute_script("window.explorer.rub.take(4)")
    press(rubbing, "bottom")
    posterior(rubbing)
    canvases = rubbing.execute_script("return Array.from(document.querySelectorAll('[data-fill]'))")
    fills = torch.stack([pixels(rubbing, canvas) for canvas in canvases])
    image = torch.tensor(rubbing.execute_script("return Array.from(window.explorer.images.of(4))")).view(28, 28)
    assert torch.equal(fills[:, :14], image[:14].expand(5, 14, 28))
    latents = rubbing.execute_script("return window.explorer.rub.fills.map((z) => Array.from(z))")
    for fill, latent in zip(fills, latents, strict=False):
        mean = torch.tensor(rubbing.execute_script("return Array.from(window.explorer.model.mean(arguments[0], -1))", latent)).view(
            28, 28
        )
        torch.testing.assert_close(fill[14:] / 255, mean[14:], atol=3e-3, rtol=0)
    _, _, mean, variance = posterior(rubbing)
    assert ((torch.tensor(latents) - mean).abs() < 5 * variance.sqrt() + 0.1).all()
    press(rubbing, "again")
    frame(rubbing)
    assert not torch.equal(torch.stack([pixels(rubbing, canvas) for canvas in canvases[:4]]), fills[:4])


def rubbed(page):
    return page.execute_script("return window.explorer.rub.gone().reduce((sum, v) => sum + v, 0)")


def middle(page):
    script = (
        "const c = document.querySelector('[data-rub=canvas]'); c.scrollIntoView({block: 'end'});"
        "const b = c.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]"
    )
    return page.execute_script(script)


def test_the_mouse_rubs_out_and_puts_back(rubbing):
    before = opened(rubbing)[0]
    x, y = middle(rubbing)
    mouse(rubbing, "mousePressed", (x - 60, y), "left")
    mouse(rubbing, "mouseMoved", (x + 60, y), "left")
    mouse(rubbing, "mouseReleased", (x + 60, y), "left")
    assert 50 < rubbed(rubbing) < 150
    assert posterior(rubbing)[0] != before
    press(rubbing, "put")
    mouse(rubbing, "mousePressed", (x, y), "left")
    mouse(rubbing, "mouseReleased", (x, y), "left")
    assert 20 < rubbed(rubbing) < 130
    mouse(rubbing, "mouseMoved", (x, y + 60))  # no button
    left = rubbed(rubbing)
    press(rubbing, "back")
    assert (left > 20, rubbed(rubbing)) == (True, 0)


def test_keys_rub_out(rubbing):
    from selenium.webdriver.common.keys import Keys

    opened(rubbing)
    canvas = rubbing.execute_script("return document.querySelector('[data-rub=canvas]')")
    canvas.send_keys(Keys.SPACE)
    once = rubbed(rubbing)
    canvas.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT, Keys.NULL)
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ENTER)
    assert 10 < once < rubbed(rubbing)
    assert z(rubbing).tolist() == [0, 0]


def test_a_finger_rubs_out_and_the_page_stays(browser, two):
    page = visit(browser, two[0], width=390, height=844, scale=2)
    opened(page)
    x, y = middle(page)
    before = page.execute_script("return scrollY")
    touch(page, "touchStart", (x, y))
    touch(page, "touchMove", (x + 20, y + 40))
    touch(page, "touchMove", (x + 20, y + 80))
    touch(page, "touchEnd")
    frame(page)
    assert rubbed(page) > 40
    assert page.execute_script("return scrollY") == before


@pytest.mark.parametrize(("width", "height"), [(320, 568), (390, 844), (1440, 900)])
def test_the_tools_fit_any_window(browser, two, width, height):
    page = visit(browser, two[0], width, height)
    opened(page)
    assert page.execute_script("return Math.max(document.documentElement.scrollWidth, innerWidth)") == width
    over = (
        "return Array.from(document.querySelectorAll('.tool :is(button, p, figcaption)')).filter((e) =>"
        "e.getClientRects().length && e.scrollWidth > e.clientWidth + 1).map((e) => e.textContent)"
    )
    assert page.execute_script(over) == []
    assert page.get_log("browser") == []


def test_it_takes_the_image_that_is_clicked_and_its_label_and_the_drawing(rubbing, two):
    choose(rubbing, 1)
    _, images = two[1]["labels"]
    opened(rubbing)
    rubbing.execute_script("window.explorer.goTo(7)")
    posterior(rubbing)
    words = "return document.querySelector('[data-rub=words]').textContent"
    assert rubbing.execute_script(words).startswith("Test image 7 ")
    assert rubbing.execute_script("return window.explorer.state.label") == int(images.labels[7])
    first = posterior(rubbing)[0]
    rubbing.execute_script("window.explorer.pick((window.explorer.state.label + 1) % 3)")
    assert posterior(rubbing)[0] != first  # another y, another posterior
    assert not rubbing.execute_script("return document.querySelector('[data-rub=own]').matches(':enabled')")


def test_the_density_is_painted_and_goes_with_the_panel(rubbing):
    space = "return document.querySelector('[data-part=space]').toDataURL()"
    frame(rubbing)
    before = rubbing.execute_script(space)
    opened(rubbing)
    assert rubbing.execute_script(space) != before
    rubbing.execute_script("document.querySelector('[data-part=rub]').open = false")
    until(lambda: rubbing.execute_script(space) == before)
    choose(rubbing, list(KINDS).index("colour"))
    assert rubbing.execute_script("return document.querySelector('[data-part=own]').getClientRects().length") == 0


def test_only_runs_of_two_latents_have_it(wide):
    shown = "return document.querySelector('[data-part=rub]').getClientRects().length > 0"
    assert wide.execute_script(shown)
    for index in (1, 2, 3):
        choose(wide, index)
        assert not wide.execute_script(shown)


def test_the_page_answers_while_it_computes(rubbing):
    script = """const done = arguments[0], frames = []; document.querySelector('[data-part=rub]').open = true;
      const step = (now) => { frames.push(now); window.explorer.rub.shown ? done(frames) : requestAnimationFrame(step); };
      requestAnimationFrame(step);"""
    frames = rubbing.execute_async_script(script)
    assert len(frames) > 5
    assert max(b - a for a, b in pairwise(frames[:-1])) < 400
