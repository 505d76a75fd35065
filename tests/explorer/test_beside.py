"""Decoding in a worker beside the page, which keeps up with the pointer."""

import pytest
import torch

from tests.browser import in_browser, until, visit
from tests.explorer.page import CANVAS, choose, frame, text

pytestmark = in_browser

SLOW = """const e = window.explorer, both = e.model.meanAndLogProb;
  const wait = () => { const until = performance.now() + 40; while (performance.now() < until); };
  window.decodings = 0;
  e.model.meanAndLogProb = (...all) => { window.decodings++; wait(); return both(...all); };"""
ALONG = """const done = arguments[0], e = window.explorer, start = performance.now(); let frames = 0;
  const step = () => { frames++; e.move([Math.sin(frames), Math.cos(frames)]);
    if (performance.now() - start < 1500) requestAnimationFrame(step); else done([frames, window.decodings]); };
  step();"""


REFUSED = {
    "at once": "window.Worker = null",
    "later": "window.Worker = class { postMessage() { setTimeout(() => { if (this.onerror) this.onerror(); }, 20); } }",
}


@pytest.fixture(params=REFUSED)
def without_workers(browser, request):
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": REFUSED[request.param]})
    yield
    browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


def pictures(page):
    """The largest difference of each picture that is shown from what the model gives there."""
    nearest = page.execute_script("return Number(document.querySelector('[data-explorer]').dataset.nearest)")
    for part, at in (("decoded", "e.state.z"), ("reconstruction", f"e.locOf({nearest})")):
        shown = page.execute_script(
            f"const c = document.querySelector('[data-part={part}]').getContext('2d').getImageData(0, 0, 28, 28).data;"
            "return Array.from({length: 784}, (_, i) => c[4 * i] / 255)"
        )
        expected = page.execute_script(f"const e = window.explorer; return Array.from(e.model.mean({at}, -1))")
        yield float((torch.tensor(shown) - torch.tensor(expected)).abs().max())


def test_a_slow_decoder_works_beside_the_page(wide):
    """As of large images: after three slow decodings a worker does it, and the plane moves in every frame."""
    wide.execute_script(SLOW)
    frames, decodings = wide.execute_async_script(ALONG)
    assert decodings <= 3  # of those at the start too, if the machine is busy
    assert frames > 20
    frame(wide)
    assert max(pictures(wide)) < 3e-3
    nats = text(wide, "log")
    wide.execute_script("window.explorer.move(Array.from(window.explorer.state.z, (v) => v + 0.3))")
    frame(wide)
    assert max(pictures(wide)) < 3e-3
    assert text(wide, "log") != nats
    assert wide.execute_script("return window.decodings") == decodings
    wide.execute_script("const { beside } = window.explorer; beside.ask = () => { window.decodings++; }; window.explorer.soon()")
    frame(wide)
    assert wide.execute_script("return window.decodings") == decodings  # nothing has changed


def test_where_a_browser_refuses_workers_the_page_decodes_between_frames(without_workers, browser, file):
    page = visit(browser, file)
    page.execute_script(SLOW)
    page.execute_script("document.querySelector('[data-part=backdrop]').click()")
    frames, decodings = page.execute_async_script(ALONG)
    assert 5 < decodings < 0.8 * frames
    until(lambda: page.execute_script(f"return {CANVAS}.dataset.tiles") == "1", 60)
    frame(page)
    assert max(pictures(page)) < 3e-3


def test_what_the_decoder_draws_everywhere_begins_anew_and_goes_on(wide):
    """After another run, or a pause, though it was still under way."""
    switch = "document.querySelector('[data-part=backdrop]').click()"
    wide.execute_script(switch)
    choose(wide, 3)
    wide.execute_script(switch)
    choose(wide, 0)
    wide.execute_script(switch)
    until(lambda: wide.execute_script(f"return {CANVAS}.dataset.tiles") == "1", 60)
    frame(wide)
    before = wide.execute_script(f"return {CANVAS}.toDataURL()")
    wide.execute_async_script("""const pick = (run) => { const s = document.querySelector('[data-part=run]'); s.value = run;
        s.dispatchEvent(new Event('change')); }, frames = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
      pick('3'); frames(() => { pick('0'); frames(arguments[0]); })""")  # one of the other run's is under way
    until(lambda: wide.execute_script(f"return {CANVAS}.dataset.tiles") == "1", 60)
    frame(wide)
    assert wide.execute_script(f"return {CANVAS}.toDataURL()") == before


def test_the_worker_has_the_model_of_the_run(wide):
    for run in (0, 3, 1, 0, 2):
        choose(wide, run)
        found, expected, nats, log_prob = wide.execute_async_script("""const e = window.explorer, bytes = e.images.of(2);
          const z = e.locOf(1), { label } = e.state;
          const job = { space: e.space, images: e.images, z, label, bytes }, [means, sum] = e.model.meanAndLogProb(z, label, bytes);
          e.beside.ask("tile", job, (shown, found) => arguments[0]([Array.from(shown), Array.from(means), found, sum]))""")
        assert found == expected
        assert nats == log_prob
