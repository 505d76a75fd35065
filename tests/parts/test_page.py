"""The explorer's page of runs of the toys, in a browser."""

import torch

import vaecli
from tests.browser import in_browser, visit
from tests.explorer.page import choose, text

pytestmark = in_browser


def test_it_decodes_and_has_no_circles_of_a_prior_that_is_no_standard_normal(browser, toy_members, toy_run, tmp_path):
    names = [("normal", "full"), ("mixture", "diagonal"), ("two-layers", "two-layers")]
    runs, images = [toy_run(*pair) for pair in names], vaecli.load_images("mnist", "test", limit=30)
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
        circles = "return document.querySelector('[data-part=circles]').parentElement.hidden"
        assert page.execute_script(circles) == (prior != "normal")
        assert page.execute_script("return document.querySelector('[data-part=rub]').hidden") == (prior != "normal")
        assert (f"The prior, {prior}, is not a standard normal" in text(page, "plane")) == (prior != "normal")
    choose(page, 0)
    image = "return document.querySelector('[data-part=space]').toDataURL()"
    with_circles = page.execute_script(image)
    page.execute_script("window.explorer.space.standardNormal = false")
    for index in (1, 0):
        choose(page, index)
    assert page.execute_script(image) != with_circles
