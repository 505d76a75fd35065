"""The link to a place, and links that cannot be followed."""

import pytest

from tests.browser import in_browser, until, visit
from tests.explorer.page import choose, z

pytestmark = in_browser


def test_a_link_keeps_the_place(browser, wide, file):
    choose(wide, 1)
    wide.execute_script("window.explorer.state.label = 2; window.explorer.move(arguments[0])", [0.25])
    fragment = until(lambda: wide.execute_script("return location.hash"))
    page = visit(browser, file, fragment=fragment)
    assert z(page).tolist() == [0.25]
    assert page.execute_script("return [window.explorer.state.run, window.explorer.state.label]") == [1, 2]
    page = visit(browser, file, fragment="#run=nowhere&z=1,x&y=9")
    assert page.execute_script("return [window.explorer.state.run, window.explorer.state.label]") == [0, -1]
    assert page.get_log("browser") == []


def test_a_link_keeps_the_turn_and_the_unknown_label(browser, file):
    page = visit(browser, file, fragment="#run=deep&z=" + ",".join(["0.1"] * 20) + "&turn=0.5,-0.25")
    assert page.execute_script("return window.explorer.view.turn") == [0.5, -0.25]
    page.execute_script("window.explorer.move(window.explorer.state.z)")
    until(lambda: page.execute_script("return location.hash").endswith("&turn=0.5%2C-0.25"))


@pytest.mark.parametrize(
    ("fragment", "place", "notice"),
    [
        ("#run=nowhere&z=1,1", [0, 0], "This page has no run nowhere, which the link asks for."),
        ("#run=RUN&z=1e9,-1e9", None, ""),
        ("#run=RUN&z=,", [0, 0], ""),
        ("#run=RUN&z=0x1,1", [0, 0], ""),
        ("#run=RUN&z=1e400,1", None, ""),
    ],
)
def test_a_link_that_cannot_be_followed_is_not_guessed_at(browser, file, fragment, place, notice):
    name = visit(browser, file).execute_script("return window.explorer.space.run")
    page = visit(browser, file, fragment=fragment.replace("RUN", name))
    limit = page.execute_script("return window.explorer.view.limit")
    if place is None:
        assert z(page).abs().max() == pytest.approx(limit, abs=1e-3)
    else:
        assert z(page).tolist() == place
    shown = page.execute_script("const n = document.querySelector('[data-part=notice]'); return n.hidden ? '' : n.textContent")
    assert shown == notice
