"""Moving through the latent space by mouse, fingers and keys, in windows of any size."""

import pytest
import torch

from tests.browser import in_browser, schemes_asked, until, visit
from tests.explorer.page import CANVAS, choose, click, frame, mouse, place, text, touch, z
from vaecli.runs.run import read_run

pytestmark = in_browser


@pytest.mark.parametrize(("width", "height"), [(320, 568), (390, 844), (720, 450), (1440, 900)])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_any_window_and_asks_nobody(browser, file, width, height, dark):
    page = visit(browser, file, width, height, dark=dark)
    assert page.get_log("browser") == []
    assert schemes_asked(page) <= {"file", "data"}
    for index in range(4):
        choose(page, index)
        assert page.execute_script("return Math.max(document.documentElement.scrollWidth, innerWidth)") == width
        size = page.execute_script(
            "const b = document.querySelector('[data-part=decoded]').getBoundingClientRect(); return b.width"
        )
        assert size >= 224


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1440, 900)])
def test_the_decoded_picture_is_in_sight_beside_every_control(browser, file, width, height):
    page = visit(browser, file, width, height)
    choose(page, 3)
    inside = (
        "arguments[0].scrollIntoView({block: 'end'});"
        "const b = document.querySelector('[data-part=decoded]').getBoundingClientRect();"
        "return b.top >= 0 && b.bottom <= innerHeight && b.left >= 0 && b.right <= innerWidth"
    )
    for selector in ("[data-part=space]", "[data-part=legend]", "[data-film=share]", "[data-part=sliders] input"):
        element = page.execute_script("return document.querySelector(arguments[0])", selector)
        assert page.execute_script(inside, element), selector


def test_the_mouse_moves_z_and_a_click_stays_at_the_image_there(wide, trained):
    target = wide.execute_script("return window.explorer.view.point(7)")
    mouse(wide, "mouseMoved", place(wide, 0.5, -0.5))
    frame(wide)
    assert z(wide).tolist() == pytest.approx([0.5, -0.5], abs=0.02)
    at = place(wide, *target)
    mouse(wide, "mouseMoved", at)
    click(wide, at)
    locs = wide.execute_script("return Array.from(window.explorer.space.loc)")
    locs = torch.tensor(locs).view(-1, 2)
    nearest = int((locs - torch.tensor(target)).norm(dim=1).argmin())
    assert torch.equal(z(wide), locs[nearest])
    assert f"test image {nearest} " in text(wide, "nearest") and "0.00 away" in text(wide, "nearest")
    mouse(wide, "mouseMoved", place(wide, 1, 1))  # it stays
    frame(wide)
    assert torch.equal(z(wide), locs[nearest])
    run = read_run(trained)
    x = run.model.observe(run.images("test").pixels[nearest : nearest + 1], torch.Generator())
    with torch.inference_mode():
        expected = float(run.model.likelihood(z(wide).unsqueeze(0)).log_prob(x))
    said = text(wide, "log").replace("\u2212", "-")
    assert said.startswith("log p(x | z) = ") and said.endswith(" nats")
    assert float(said.split()[5]) == pytest.approx(expected, rel=0.01)


def test_one_finger_moves_z_and_nothing_scrolls_or_leaves_the_canvas(phone):
    start, end = place(phone, 0, 0), place(phone, 1, 0.5)
    before = phone.execute_script("return scrollY")
    touch(phone, "touchStart", start)
    touch(phone, "touchMove", [(a + b) / 2 for a, b in zip(start, end, strict=True)])
    touch(phone, "touchMove", end)
    frame(phone)
    assert z(phone).tolist() == pytest.approx([1, 0.5], abs=0.05)
    touch(phone, "touchMove", (5, 840))
    frame(phone)
    limit = phone.execute_script("return window.explorer.view.limit")
    assert z(phone).abs().max() <= limit + 1e-4
    touch(phone, "touchEnd")
    assert phone.execute_script("return scrollY") == before


def test_a_tap_moves_z(phone):
    at = place(phone, -0.6, 0.6)
    touch(phone, "touchStart", at)
    touch(phone, "touchEnd")
    frame(phone)
    near = phone.execute_script("return window.explorer.painter.scale()")
    assert (z(phone) - torch.tensor([-0.6, 0.6])).norm() <= 15 / near


def test_two_fingers_turn_three_latents(phone):
    choose(phone, 2)
    assert phone.execute_script("return window.explorer.space.latents") == 5
    a, b = place(phone, -0.5, 0), place(phone, 0.5, 0)
    touch(phone, "touchStart", a)
    moved = z(phone)
    touch(phone, "touchStart", a, b)
    touch(phone, "touchMove", (a[0] + 40, a[1]), (b[0] + 40, b[1]))
    touch(phone, "touchEnd")
    frame(phone)
    assert phone.execute_script("return window.explorer.view.turn[0]") > 0.1
    assert torch.equal(z(phone), moved)


def test_keys_move_turn_deepen_and_reset(wide):
    from selenium.webdriver.common.keys import Keys

    canvas = wide.execute_script(f"return {CANVAS}")
    for _ in range(60):
        canvas.send_keys(Keys.SHIFT, Keys.ARROW_RIGHT, Keys.NULL)
    limit = wide.execute_script("return window.explorer.view.limit")
    assert z(wide).tolist() == pytest.approx([limit, 0], abs=1e-4)
    canvas.send_keys(Keys.HOME)
    assert z(wide).tolist() == [0, 0]
    canvas.send_keys(Keys.ENTER)
    assert z(wide).abs().sum() > 0
    choose(wide, 3)
    canvas.send_keys(Keys.PAGE_DOWN)
    deeper = z(wide)
    axes = torch.tensor(wide.execute_script("return window.explorer.space.axes"))
    assert (axes[:2] @ deeper).abs().max() < 1e-4 < (axes[2] @ deeper).abs()
    canvas.send_keys("d")
    assert wide.execute_script("return window.explorer.view.turn") == pytest.approx([0.1, 0])
    assert wide.execute_script("return document.activeElement === arguments[0]", canvas)


def test_a_drag_stays_where_it_ends(wide):
    start, end = place(wide, 0, 0), place(wide, 2.9, -2.9)
    mouse(wide, "mousePressed", start, "left")
    mouse(wide, "mouseMoved", end, "left")
    mouse(wide, "mouseReleased", end, "left")
    mouse(wide, "mouseMoved", place(wide, -1, -1))
    frame(wide)
    assert z(wide).tolist() == pytest.approx([2.9, -2.9], abs=0.03)


def test_a_right_click_moves_nothing(wide):
    wide.execute_script("window.explorer.follow(false)")
    mouse(wide, "mousePressed", place(wide, 1, 1), "right")
    mouse(wide, "mouseReleased", place(wide, 1, 1), "right")
    frame(wide)
    assert z(wide).tolist() == [0, 0]


def test_a_click_on_a_point_goes_to_its_image_in_many_latents(wide):
    choose(wide, 3)
    points = torch.tensor(
        wide.execute_script("return Array.from(window.explorer.images.labels, (_, i) => window.explorer.view.point(i))")
    )
    alone = [i for i in range(len(points)) if ((points - points[i]).norm(dim=1) < 0.05).sum() == 1]
    assert len(alone) >= 10
    for image in alone[:10]:
        click(wide, place(wide, *points[image].tolist()))
        assert f"test image {image} " in text(wide, "nearest") and "0.00 away" in text(wide, "nearest")


def test_a_first_finger_does_not_move_z_before_a_second_one_turns(phone):
    choose(phone, 2)
    before = z(phone)
    a, b = place(phone, -0.5, 0), place(phone, 0.5, 0)
    touch(phone, "touchStart", a)
    touch(phone, "touchStart", a, b)
    touch(phone, "touchMove", (a[0] + 30, a[1]), (b[0] + 30, b[1]))
    touch(phone, "touchEnd")
    frame(phone)
    assert phone.execute_script("return window.explorer.view.turn[0]") > 0.1
    assert (z(phone) - before).abs().max() < 1e-6


def test_the_wheel_scrolls_the_page_where_there_is_no_more_depth(wide):
    choose(wide, 3)
    at = place(wide, 0, 0)
    click(wide, at)
    wheel = {"type": "mouseWheel", "x": at[0], "y": at[1], "deltaX": 0, "deltaY": 300}
    for _ in range(3):
        wide.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
    assert wide.execute_script("return scrollY") == 0
    for _ in range(20):
        wide.execute_cdp_cmd("Input.dispatchMouseEvent", wheel)
    until(lambda: wide.execute_script("return scrollY") > 0)


@pytest.mark.parametrize(("width", "height"), [(568, 320), (667, 375), (720, 450), (844, 390)])
def test_a_low_window_shows_the_plane_beside_the_picture(browser, file, width, height):
    page = visit(browser, file, width, height)
    inside = "const b = document.querySelector('[data-part=%s]').getBoundingClientRect(); return [b.top, b.bottom, b.left, b.right]"
    page.execute_script(f"{CANVAS}.scrollIntoView({{block: 'start'}})")
    plane, picture = (page.execute_script(inside % part) for part in ("space", "decoded"))
    assert plane[3] <= picture[2] and plane[1] - plane[0] > 200  # side by side
    page.execute_script("document.querySelector('[data-part=latents] summary').scrollIntoView({block: 'end'})")
    top, bottom, *_ = page.execute_script(inside % "decoded")
    assert top >= 0 and bottom <= height


@pytest.mark.parametrize("run", [0, 3])
def test_what_has_the_focus_on_a_phone_is_not_under_the_pictures(phone, run):
    choose(phone, run)
    covered = phone.execute_script(
        "const panel = document.querySelector('.seen'), bad = [];"
        "const all = [...document.querySelectorAll('.settings button, .settings input, .settings select, .settings summary')];"
        "for (const e of all.reverse()) { if (e.disabled || !e.offsetParent) continue; e.focus();"
        "  if (e.getBoundingClientRect().top < panel.getBoundingClientRect().bottom - 1) bad.push(e.outerHTML.slice(0, 80)); }"
        "return [bad, all.length]"
    )
    assert covered[0] == [] and covered[1] > 10
