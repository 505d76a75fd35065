"""Pages in a real browser: headless Chromium, from file:// addresses."""

import json
import shutil
import time

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars --disable-background-networking",
    "--disable-component-update --disable-sync",
)
in_browser = [pytest.mark.system, pytest.mark.filterwarnings("ignore::ResourceWarning")]
"""The marks of a module whose tests take the fixture `browser`."""


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium; tests are skipped where it, its driver or selenium is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install selenium")
    if not (BROWSER and DRIVER):
        pytest.skip("needs Chromium and its driver: Debian's chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in [*" ".join(FLAGS).split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield opened
    opened.quit()


def visit(browser, path, width=1440, height=900, scale=1, dark=False, fragment=""):
    """Opens a page anew in a window of this size, as a phone below 500 pixels, and waits until its script is done."""
    phone = width < 500
    size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone, "maxTouchPoints": 5 if phone else 1})
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri() + fragment)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    return browser


def until(condition, seconds=10):
    """The first true value of `condition`, for which it waits."""
    for _ in range(20 * seconds):
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"it did not come about within {seconds} s")


def schemes_asked(page):
    """The schemes of all addresses that the page asked for, such as ``file``."""
    events = [json.loads(event["message"])["message"] for event in page.get_log("performance")]
    requests = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
    # the browser's own first tab asks too
    ours = [request for request in requests if not request["documentURL"].startswith(("chrome:", "about:"))]
    assert page.current_url.split("#")[0] in {request["request"]["url"] for request in ours}
    return {request["request"]["url"].split(":")[0] for request in ours}
