"""The posterior of what is left of an image, by the page and by the library."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.browser import in_browser, visit
from tests.explorer.conftest import KINDS, run_with
from tests.explorer.page import choose, opened, posterior, press
from vaecli.analysis.masks import half
from vaecli.data.images import Images
from vaecli.evaluation.grid import Grid, log_likelihoods
from vaecli.evaluation.quadrature import exact_log_prob
from vaecli.explorer.page import explore
from vaecli.seeding import generator

pytestmark = in_browser


def exact(run, x, label, observed):
    """The same by the library, on a grid of 240 x 240."""
    grid = Grid(2, 240, 6.0)
    logs = torch.empty(240 * 240, dtype=torch.float64)
    with torch.inference_mode():
        for _, latents, points, parts in log_likelihoods(
            run.model, grid.points(torch.device("cpu")), x[None], torch.tensor([label]), (observed,)
        ):
            logs[latents] = (parts[0].squeeze(-1) + run.model.prior().log_prob(points)).double()
    total = logs.logsumexp(0) + 2 * math.log(grid.cell)
    shares, points = logs.softmax(0)[:, None], grid.points(torch.device("cpu")).double()
    mean = (shares * points).sum(0)
    return float(total), points[logs.argmax()], mean, (shares * (points - mean).square()).sum(0)


@pytest.mark.parametrize("name", list(KINDS))
def test_the_density_is_the_exact_posterior(rubbing, two, name):
    choose(rubbing, list(KINDS).index(name))
    run, images = two[1][name]
    x = run.model.observe(images.pixels, generator("cpu", "explore", 0))
    opened(rubbing)
    nothing = torch.zeros(images.shape.size, dtype=torch.bool)
    for image, buttons, observed in (
        (3, (), ~nothing),
        (5, ("bottom",), half("top", images.shape)),
        (8, ("left",), half("right", images.shape)),
    ):
        rubbing.execute_script("window.explorer.rub.take(arguments[0])", image)
        for button in buttons:
            press(rubbing, button)
        log_seen, mode, mean, variance = posterior(rubbing)
        total, exact_mode, exact_mean, exact_variance = exact(run, x[image], int(images.labels[image]), observed)
        assert log_seen == pytest.approx(total, abs=0.05)
        torch.testing.assert_close(mode, exact_mode.float(), atol=0.15, rtol=0)
        torch.testing.assert_close(mean, exact_mean.float(), atol=0.02, rtol=0)
        torch.testing.assert_close(variance, exact_variance.float(), atol=0.004, rtol=0.03)


def test_with_all_left_it_is_log_p_of_the_image(rubbing, two):
    run, images = two[1]["plain"]
    opened(rubbing)
    for image in (0, 20):
        rubbing.execute_script("window.explorer.rub.take(arguments[0])", image)
        one = Images(images.pixels[image : image + 1], images.labels[image : image + 1], images.class_names, images.shape)
        assert posterior(rubbing)[0] == pytest.approx(float(exact_log_prob(run.model, one).log_prob[0]), abs=0.05)


def test_a_narrow_posterior_is_found_between_the_cells(browser, tmp_path):
    run, images = run_with(tmp_path, "narrow", latent_dim=2, hidden=(30,))
    with torch.inference_mode():
        run.model.decoder.output.weight.mul_(10)
        latents = torch.randn(len(images), 2, generator=generator("cpu", "narrow latents"))
        drawn = run.model.likelihood(latents).mean > 0.5
    images = replace(images, pixels=255 * drawn.to(torch.uint8))
    path = tmp_path / "page.html"
    path.write_text(explore([run], [images]))
    rubbing = visit(browser, path)
    opened(rubbing)
    x = run.model.observe(images.pixels, generator("cpu", "explore", 0)).double()
    decoder = run.model.decoder.double()
    for image in (1, 2):
        rubbing.execute_script("window.explorer.rub.take(arguments[0])", image)
        axis = torch.linspace(-8, 8, 801, dtype=torch.float64)
        points = torch.cartesian_prod(axis, axis)
        with torch.inference_mode():
            logits = torch.cat(
                [
                    decoder(part, None).squeeze(-2) @ x[image] - F.softplus(decoder(part, None)).sum((-1, -2))
                    for part in points.split(5000)
                ]
            )
        logs = logits - points.square().sum(-1) / 2 - math.log(2 * math.pi)
        shares = logs.softmax(0)[:, None]
        deviation = ((shares * points.square()).sum(0) - (shares * points).sum(0).square()).sqrt()
        found = posterior(rubbing)[0]
        n, reach = rubbing.execute_script("return [window.explorer.rub.shown.n, window.explorer.rub.shown.reach]")
        assert deviation.min() < 0.4 * 2 * reach / n  # narrower than a cell
        assert found == pytest.approx(float(logs.logsumexp(0)) + 2 * math.log(0.02), abs=0.05)


def test_with_nothing_left_it_is_the_prior(rubbing):
    opened(rubbing)
    for button in ("top", "bottom"):
        press(rubbing, button)
    log_seen, mode, mean, variance = posterior(rubbing)
    assert log_seen == pytest.approx(0, abs=1e-3)
    assert mode.abs().max() < 0.15
    torch.testing.assert_close(mean, torch.zeros(2), atol=1e-3, rtol=0)
    torch.testing.assert_close(variance, torch.ones(2), atol=2e-3, rtol=0)
    assert "100 % rubbed out" in rubbing.execute_script("return document.querySelector('[data-rub=words]').textContent")
    press(rubbing, "back")
    assert posterior(rubbing)[0] < -10
