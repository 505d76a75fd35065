"""Trained runs of residual networks: all that a person does on the page goes through them."""

import pytest
import torch

import vaecli
from tests.browser import in_browser, visit
from tests.explorer.page import CANVAS, choose, frame, mouse, opened, place, posterior, press, z
from tests.explorer.test_density import exact
from tests.explorer.test_drawing import draw, pad
from vaecli import registry
from vaecli.analysis.masks import half

pytestmark = in_browser

ARCHS = {
    "resnet": {"channels": (4, 8), "hidden": (32,)},
    "residual-mlp": {"hidden": (64, 64, 32), "labels": "full"},
}


@pytest.fixture(scope="module")
def residual(tmp_path_factory, small_mnist):
    """A page of both; its file, and the runs."""
    folder = tmp_path_factory.mktemp("residual")
    runs = []
    for arch, settings in ARCHS.items():
        config = vaecli.Config(arch=arch, latent_dim=2, epochs=15, batch_size=50, lr=3e-3, **settings)
        runs.append(vaecli.train(config, folder / arch, data_dir=small_mnist))
    page = folder / "page.html"
    page.write_text(vaecli.explore(runs, [run.images("test", small_mnist) for run in runs]))
    return page, runs


@pytest.fixture(params=list(ARCHS))
def shown(request, browser, residual):
    """The page, which shows a run, and the run; there is no error on the console afterwards."""
    index = list(ARCHS).index(request.param)
    page = visit(browser, residual[0], 1366, 768)
    choose(page, index)
    yield page, residual[1][index]
    assert not [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]


def canvas(page, part):
    script = (
        f"const c = document.querySelector('[data-{part}]').getContext('2d').getImageData(0, 0, 28, 28).data;"
        "return Array.from({length: 784}, (_, i) => c[4 * i] / 255)"
    )
    return torch.tensor(page.execute_script(script))


def mean_of(page, run, latent):
    """What PyTorch decodes there, with the label that is picked."""
    label = page.execute_script("return window.explorer.state.label")
    with torch.inference_mode():
        return run.model.likelihood(latent[None], run.model.condition(torch.tensor([label]))).mean[0]


def test_the_picture_under_the_pointer_is_what_the_model_decodes(shown):
    page, run = shown
    before = None
    for at in ((0.5, -0.5), (-1.5, 1.0)):
        mouse(page, "mouseMoved", place(page, *at))
        frame(page)
        assert z(page).tolist() == pytest.approx(at, abs=0.02)
        picture = canvas(page, "part=decoded")
        torch.testing.assert_close(picture, mean_of(page, run, z(page)), atol=0.01, rtol=0)
        assert before is None or (picture - before).abs().max() > 0.1
        before = picture


def test_a_drawing_is_encoded_and_reconstructed(shown, tmp_path):
    page, run = shown
    draw(page)
    picture = registry.load("dataset", "mnist").picture(pad(page, tmp_path), run.config.image_shape, None)
    label = page.execute_script("return window.explorer.state.label")
    with torch.inference_mode():
        x = run.model.observe(picture.pixels[None], torch.Generator())
        q = run.model.posterior(x, run.model.condition(torch.tensor([label])))
    torch.testing.assert_close(z(page), q.loc[0], atol=0.02, rtol=0)
    torch.testing.assert_close(canvas(page, "part=decoded"), mean_of(page, run, z(page)), atol=0.01, rtol=0)


def test_what_is_left_of_an_image_has_the_exact_posterior(shown):
    page, run = shown
    opened(page)
    page.execute_script("window.explorer.rub.take(3)")
    press(page, "bottom")
    log_seen, _, mean, _ = posterior(page)
    images = run.images("test")
    x = run.model.observe(images.pixels[3:4])[0]
    total, _, exact_mean, _ = exact(run, x, int(images.labels[3]), half("top", images.shape))
    assert log_seen == pytest.approx(total, abs=0.05)
    torch.testing.assert_close(mean, exact_mean.float(), atol=0.02, rtol=0)


def test_from_a_to_b_it_decodes_the_way(shown):
    page, run = shown
    ends = torch.tensor([[-1.0, 0.5], [1.5, -0.5]])
    page.execute_script("document.querySelector('[data-film=a]').click()")
    for end in ends:
        page.execute_script("window.explorer.move(arguments[0])", end.tolist())
        page.execute_script(f"return {CANVAS}").send_keys(" ")
    frame(page)
    script = (
        "const s = document.querySelector('[data-film=strip]'), c = s.getContext('2d');"
        "const rgba = c.getImageData(0, 0, s.width, 28).data;"
        "return [s.width, s.height, Array.from({length: s.width * 28}, (_, i) => rgba[4 * i] / 255)]"
    )
    width, height, values = page.execute_script(script)
    assert (width, height) == (9 * 28, 28)
    pictures = torch.tensor(values).view(28, 9, 28).unbind(1)
    for picture, share in zip(pictures, torch.linspace(0, 1, 9), strict=True):
        torch.testing.assert_close(picture.flatten(), mean_of(page, run, torch.lerp(*ends, share)), atol=0.01, rtol=0)
