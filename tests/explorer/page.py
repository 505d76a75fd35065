"""What tests do to a page of the explorer, and read from it."""

import torch

from tests.browser import until

CANVAS = "document.querySelector('[data-part=space]')"


def choose(page, index):
    script = "const s = document.querySelector('[data-part=run]'); s.value = arguments[0]; s.dispatchEvent(new Event('change'));"
    page.execute_script(script, str(index))
    frame(page)


def frame(page):
    """Waits until all is decoded and painted."""
    for _ in range(2):
        page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        until(lambda: not page.execute_script("return window.explorer.beside.busy"), 60)


def z(page):
    return torch.tensor(page.execute_script("return Array.from(window.explorer.state.z)"))


def place(page, right, up):
    """The pixel of the window where a place of the plane is."""
    script = (
        f"const box = {CANVAS}.getBoundingClientRect();"
        "const [x, y] = window.explorer.painter.screen([arguments[0], arguments[1]]);"
        f"return [box.left + {CANVAS}.clientLeft + x, box.top + {CANVAS}.clientTop + y]"
    )
    return page.execute_script(script, right, up)


def mouse(page, kind, at, button="none"):
    event = {"type": kind, "x": at[0], "y": at[1], "button": button, "clickCount": 1, "buttons": int(button == "left")}
    page.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def click(page, at):
    for kind in ("mousePressed", "mouseReleased"):
        mouse(page, kind, at, "left")
    frame(page)


def touch(page, kind, *fingers):
    points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def text(page, part):
    return page.execute_script(f"return document.querySelector('[data-part={part}]').textContent")


def opened(page):
    """The posterior of the first image, once the panel is open."""
    page.execute_script("document.querySelector('[data-part=rub]').open = true")
    return posterior(page)


def posterior(page):
    """What the page found: log p(seen), the mode, and the mean and the variance of z."""
    until(lambda: page.execute_script("return Boolean(window.explorer.rub.shown)"), 60)
    frame(page)
    script = (
        "const { logSeen, mode, leaves } = window.explorer.rub.shown;"
        "const sum = (of) => leaves.reduce((s, l) => s + l.share * of(l), 0);"
        "const mean = [0, 1].map((d) => sum((l) => l.at[d]));"
        "return [logSeen, mode, mean, [0, 1].map((d) => sum((l) => (l.at[d] - mean[d]) ** 2))]"
    )
    log_seen, *others = page.execute_script(script)
    return log_seen, *map(torch.tensor, others)


def press(page, name):
    page.execute_script("document.querySelector(`[data-rub=${arguments[0]}]`).click()", name)
