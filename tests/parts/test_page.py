"""The explorer's page of runs with other priors and posteriors, in a browser."""

import torch

import vaecli
from tests.browser import in_browser, visit
from tests.explorer.page import choose, text

pytestmark = in_browser


def test_it_decodes_and_shows_contours_instead_of_circles(browser, trained, tmp_path):
    names = [("normal", "full"), ("mixture", "diagonal"), ("two-layer", "two-layer")]
    runs, images = [trained(*pair) for pair in names], vaecli.load_images("mnist", "test", limit=30)
    file = tmp_path / "page.html"
    file.write_text(vaecli.explore(runs, [images] * 3))
    page = visit(browser, file)
    for index, (run, (prior, _)) in enumerate(zip(runs, names, strict=True)):
        choose(page, index)
        z = torch.tensor([0.5, -0.3])[: run.model.prior.decoded]
        means = page.execute_script(f"return Array.from(window.explorer.model.mean(new Float32Array({z.tolist()}), -1))")
        with torch.inference_mode():
            expected = run.model.decoder(z.view(1, -1)).sigmoid().flatten()
        torch.testing.assert_close(torch.tensor(means), expected, atol=5e-3, rtol=0)
        words = "return document.querySelector('[data-part=circles-words]').textContent"
        circles = "return document.querySelector('[data-part=circles]').parentElement.hidden"
        assert page.execute_script(circles) == (prior == "two-layer")  # of which a line is shown
        assert ("39, 86 and 99 %" in page.execute_script(words)) == (prior == "mixture")
        assert page.execute_script("return document.querySelector('[data-part=rub]').hidden") == (prior != "normal")
        assert (f"The prior, {prior}, is not a standard normal" in text(page, "plane")) == (prior != "normal")
    image = "return document.querySelector('[data-part=space]').toDataURL()"
    for index, what in ((0, "standardNormal"), (1, "contours")):
        choose(page, index)
        with_lines = page.execute_script(image)
        page.execute_script(f"window.explorer.space.{what} = null")
        for back in (1 - index, index):
            choose(page, back)
        assert page.execute_script(image) != with_lines
