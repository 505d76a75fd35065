"""The report's page in a real browser."""

import pytest
import torch

from tests.browser import in_browser, schemes_asked, until, visit
from vaecli.config import Config
from vaecli.report.definitions import IWAE10, Z2
from vaecli.runs.run import read_run

pytestmark = in_browser


@pytest.fixture(params=[390, 1440])
def page(request, browser, reported):
    opened = visit(browser, reported / "report-quick/index.html", request.param)
    assert opened.execute_script("return Math.max(document.documentElement.scrollWidth, innerWidth)") == request.param
    return opened


def test_it_loads_without_an_error_and_asks_nobody(page):
    assert page.get_log("browser") == []
    assert schemes_asked(page) <= {"file", "data"}
    shown = "image.loading = 'eager'; return image.complete && image.naturalWidth > 0;"
    pictures = f"return Array.from(document.images).map((image) => {{ {shown} }})"
    until(lambda: all(page.execute_script(pictures)))


@pytest.mark.parametrize("space", [0, 1])
def test_its_explorer_decodes_both_runs(page, reported, space):
    config = Config(**{**(Z2, IWAE10)[space], "limit": 2000, "epochs": 1})
    model = read_run(reported / "checkpoints" / config.run_name).model
    z = torch.linspace(-1, 1, config.latent_dim)
    script = (
        "const select = document.querySelector('[data-part=run]'); select.value = arguments[0];"
        "select.dispatchEvent(new Event('change'));"
        "return Array.from(window.explorer.model.mean(arguments[1], -1))"
    )
    with torch.inference_mode():
        expected = model.likelihood(z.unsqueeze(0)).mean[0]
    torch.testing.assert_close(torch.tensor(page.execute_script(script, str(space), z.tolist())), expected, atol=1e-2, rtol=0)


def test_the_command_can_be_copied_or_selected(page):
    from selenium.webdriver.common.by import By

    button = page.find_element(By.CSS_SELECTOR, "#figure3 button.copy")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert until(lambda: button.text in ("Copied", "Selected"))


def test_nothing_is_cut_on_paper(browser, reported):
    """On a page of A4, 718 pixels between its margins."""
    page = visit(browser, reported / "report-quick/index.html", 718)
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    cut = page.execute_script(
        "const scrolls = (e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible';"
        "const outside = (e) => e.getBoundingClientRect().right > innerWidth;"
        "const all = [...document.querySelectorAll('table, pre, .wide, .command code, img, svg')];"
        "const cut = all.filter((e) => e.offsetParent !== null && (scrolls(e) || outside(e)));"
        "return cut.map((e) => e.outerHTML.slice(0, 80))"
    )
    assert cut == []


def test_the_runs_are_legible_on_a_phone_without_scrolling_sideways(browser, reported):
    page = visit(browser, reported / "report-quick/index.html", 390, 844)
    inside = "return Array.from(document.querySelectorAll('#settings .wide, .wide'), (e) => e.scrollWidth - e.clientWidth)"
    assert page.execute_script(inside) == [0, 0]
    assert (
        page.execute_script("return getComputedStyle(document.querySelector('#settings td.number'), '::before').content")
        == '"seed "'
    )
