"""The page in a real browser: headless Chromium, from a file:// address."""

import json
import shutil
import time

import pytest
import torch

from vaecli.config import Config
from vaecli.report.definitions import IWAE10, Z2
from vaecli.runs.run import read_run

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs Chromium and its driver: Debian's chromium and chromium-driver"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars --disable-background-networking",
    "--disable-component-update --disable-sync",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*" ".join(FLAGS).split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield opened
    opened.quit()


@pytest.fixture(params=[390, 1440])
def page(request, browser, reported):
    size = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": request.param < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get((reported / "report-quick/index.html").as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


def until(condition):
    for _ in range(200):
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError("it did not come about within 10 s")


def caption(page, space):
    return page.execute_script(f"return document.querySelector('[data-space=\"{space}\"] .said').textContent")


def pixels(page, space):
    script = (
        f"const c = document.querySelector('[data-space=\"{space}\"] .decoded');"
        "return Array.from(c.getContext('2d').getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0);"
    )
    return torch.tensor(page.execute_script(script)) / 255


def cursor(page, space):
    return torch.tensor(page.execute_script(f"return Array.from(window.explorers[{space}].cursor)"), dtype=torch.float32)


def test_it_loads_without_an_error_and_asks_nobody(page):
    assert page.get_log("browser") == []
    events = [json.loads(event["message"])["message"] for event in page.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # the browser's own first tab asks too
    ours = [request for request in requests if not request["documentURL"].startswith("chrome:")]
    assert page.current_url in {request["request"]["url"] for request in ours}
    assert {request["request"]["url"].split(":")[0] for request in ours} <= {"file", "data"}
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    shown = "image.loading = 'eager'; return image.complete && image.naturalWidth > 0;"
    pictures = f"return Array.from(document.images).map((image) => {{ {shown} }})"
    until(lambda: all(page.execute_script(pictures)))


@pytest.mark.parametrize("space", [0, 1])
def test_what_is_under_the_pointer_is_decoded(page, reported, space):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    canvas = page.find_elements(By.CSS_SELECTOR, ".space")[space]
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    before = caption(page, space)
    ActionChains(page).move_to_element_with_offset(canvas, 60, -40).perform()
    until(lambda: caption(page, space) != before)
    config = Config(**{**(Z2, IWAE10)[space], "limit": 2000, "epochs": 1})
    model = read_run(reported / "checkpoints" / config.run_name).model
    with torch.inference_mode():
        expected = model.likelihood(cursor(page, space)).mean
    torch.testing.assert_close(pixels(page, space), expected, atol=1e-2, rtol=0)


def test_keys_move_and_turn(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    for space, canvas in enumerate(page.find_elements(By.CSS_SELECTOR, ".space")):
        at = cursor(page, space)
        canvas.send_keys(Keys.ARROW_RIGHT)
        until(lambda at=at, space=space: not torch.equal(cursor(page, space), at))
        assert page.execute_script("return document.activeElement === arguments[0]", canvas)
    turned = page.execute_script("return arguments[0].toDataURL()", canvas)
    canvas.send_keys("d")
    until(lambda: page.execute_script("return arguments[0].toDataURL()", canvas) != turned)


def test_a_point_under_the_pointer_shows_its_digit(page):
    shown = page.execute_script(
        "const e = window.explorers[0], data = JSON.parse(document.getElementById('latents').textContent);"
        "e.cursor.set(halvesOf(data.spaces[0].points).subarray(0, 2)); e.paint();"
        "return document.querySelector('[data-space=\"0\"]').dataset.nearest;"
    )
    assert shown != ""
    assert f"test image {shown}, a " in caption(page, 0)


def test_the_command_can_be_copied_or_selected(page):
    from selenium.webdriver.common.by import By

    button = page.find_element(By.CSS_SELECTOR, "#figure3 button.copy")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()
    assert until(lambda: button.text in ("Copied", "Selected"))
