"""What the page computes is what the model computes."""

import math

import pytest
import torch

from tests.browser import in_browser, visit
from tests.explorer.conftest import run_with, settings_of_all
from tests.explorer.test_operations import NETWORKS
from vaecli.analysis.interpolation import spherical, straight
from vaecli.errors import VaecliError
from vaecli.explorer import networks
from vaecli.explorer.page import explore
from vaecli.explorer.payload import payload
from vaecli.seeding import generator

pytestmark = in_browser

CHOOSE = "const s = document.querySelector('[data-part=run]'); s.value = arguments[0]; s.dispatchEvent(new Event('change'));"


@pytest.fixture(scope="module")
def page(browser, explored):
    return visit(browser, explored[0])


def chosen(page, runs, name):
    page.execute_script(CHOOSE, str(list(runs).index(name)))
    return runs[name]


@pytest.mark.parametrize("name", [name for name, _ in settings_of_all()])
def test_means_and_log_probabilities_are_the_models(page, explored, name):
    run, images = chosen(page, explored[1], name)
    model, noise = run.model, generator("cpu", "here", name)
    x = model.observe(images.pixels, generator("cpu", "explore", 0))
    for index, label in ((0, 0), (1, -1), (2, 2)):
        z = torch.randn(model.latent_dim, generator=noise)
        y = model.condition(torch.tensor([label]))
        with torch.inference_mode():
            likelihood = model.likelihood(z.unsqueeze(0), y)
            mean, log_prob = likelihood.mean[0], float(likelihood.log_prob(x[index : index + 1]))
        script = (
            "const e = window.explorer, bytes = e.images.of(arguments[2]);"
            "const [mean, sum] = e.model.meanAndLogProb(arguments[0], arguments[1], bytes);"
            "return [Array.from(mean), sum, Array.from(e.model.mean(arguments[0], arguments[1]))]"
        )
        shown, found, again = page.execute_script(script, z.tolist(), label, index)
        torch.testing.assert_close(torch.tensor(shown), mean, atol=1e-2, rtol=0)
        assert mean.std() > 0.03  # it is a picture, not one grey
        assert shown == again
        assert found == pytest.approx(log_prob, rel=0.01, abs=5)


@pytest.mark.parametrize("name", ["bernoulli-mlp", "colour", "deep"])
def test_the_nearest_image_is_the_nearest_in_all_latents(page, explored, name):
    run, images = chosen(page, explored[1], name)
    x = run.model.observe(images.pixels, generator("cpu", "explore", 0))
    with torch.inference_mode():
        q = run.model.posterior(x)
    for z in torch.randn(5, run.model.latent_dim, generator=generator("cpu", "near", name)):
        distances = (q.loc - z).norm(dim=1)
        nearest, distance = page.execute_script("return window.explorer.view.nearest(arguments[0], () => true)", z.tolist())
        assert nearest == int(distances.argmin())
        assert distance == pytest.approx(float(distances.min()), rel=1e-5)


def test_the_ellipse_is_two_standard_deviations_of_the_posterior_seen_in_the_plane(page, explored):
    _, images = chosen(page, explored[1], "discretized-logistic-mlp")
    space = page.execute_script("return [window.explorer.space.axes, Array.from(window.explorer.space.logScale)]")
    axes, scales = torch.tensor(space[0]), torch.tensor(space[1]).view(len(images), -1).exp()
    covariance = axes[:2] @ torch.diag(scales[7].square()) @ axes[:2].T
    expected = 2 * torch.linalg.eigvalsh(covariance).sqrt()
    long, short, angle = page.execute_script("return window.explorer.view.ellipse(7)")
    assert [short, long] == pytest.approx(expected.tolist(), rel=1e-3)
    direction = torch.tensor([math.cos(angle), math.sin(angle)])
    torch.testing.assert_close(covariance @ direction, (long / 2) ** 2 * direction, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(("way", "function"), [("straight", straight), ("spherical", spherical)])
def test_the_way_is_that_of_sample(page, way, function):
    a, b = torch.randn(2, 5, generator=generator("cpu", "way"))
    share = torch.linspace(0, 1, 5)
    script = "return arguments[2].map((t) => WAYS[arguments[3]](arguments[0], arguments[1], t))"
    found = torch.tensor(page.execute_script(script, a.tolist(), b.tolist(), share.tolist(), way))
    torch.testing.assert_close(found, function(a, b, share), rtol=1e-4, atol=1e-5)
    zero = page.execute_script("return WAYS[arguments[0]]([0, 0], [1, 2], 0.5)", way)
    assert zero == [0.5, 1]


def test_images_are_those_that_the_model_saw(page, explored):
    for name in ("colour", "beta-mlp", "bernoulli-conv"):
        run, images = chosen(page, explored[1], name)
        x = run.model.observe(images.pixels, generator("cpu", "explore", 0))
        expected = images.pixels if run.config.binarize == "none" else (255 * x).to(torch.uint8)
        for index in (0, 39):
            found = page.execute_script("return Array.from(window.explorer.images.of(arguments[0]))", index)
            assert found == expected[index].tolist()


def test_what_the_page_cannot_compute_is_refused(tmp_path):
    (run, images) = run_with(tmp_path, "odd", hidden=(5,))
    run.model.decoder.output = torch.nn.Sequential(torch.nn.Softplus(), run.model.decoder.output)
    with pytest.raises(
        VaecliError, match=r"cannot compute torch\.nn\.functional\.softplus as the network uses it; expected dense "
    ):
        explore([run], [images])
    (run, images) = run_with(tmp_path, "other", hidden=(5,))
    run.model.pixel_likelihood = type("Poisson", (run.model.pixel_likelihood,), {})
    with pytest.raises(VaecliError, match="other: found the likelihood Poisson, expected one that the page computes: Bernoulli, "):
        explore([run], [images])


@pytest.mark.parametrize("network", ["encoder", "decoder"])
def test_networks_that_give_no_numbers_are_refused(tmp_path, network):
    run, images = run_with(tmp_path, "broken", latent_dim=2)
    with torch.no_grad():
        next(getattr(run.model, network).parameters())[0] = math.nan
    with pytest.raises(VaecliError, match=r"the networks of the model give values that are no numbers .*: train it anew"):
        explore([run], [images])


def test_few_bits_are_taken_only_where_they_are_precise_enough(tmp_path, monkeypatch):
    run, images = run_with(tmp_path, "large", hidden=(200,))

    def kinds():
        space = payload([run], [images])["spaces"][0]
        parts = (space["decoder"], space["encoder"])
        return [[step["weight"].get("bits", 16) for step in part if "weight" in step] for part in parts]

    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    monkeypatch.setattr(networks, "TOLERANCE", 0.5)
    monkeypatch.setattr(networks, "ENCODER_TOLERANCE", 1e-9)
    assert kinds() == [[16, 6], [16, 16]]
    monkeypatch.setattr(networks, "TOLERANCE", 1e-9)
    monkeypatch.setattr(networks, "ENCODER_TOLERANCE", 0.5)
    assert kinds() == [[16, 16], [6, 16]]
    assert all(torch.equal(tensor, before[name]) for name, tensor in run.model.state_dict().items())


def test_pictures_are_drawn_in_their_colours(page, explored):
    for name, channels in (("colour", 3), ("beta-mlp", 1)):
        _, images = chosen(page, explored[1], name)
        script = (
            "const canvas = document.createElement('canvas'), e = window.explorer;"
            "[canvas.width, canvas.height] = [e.images.width, e.images.height];"
            "drawImage(canvas, e.images, e.images.of(3));"
            "return Array.from(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data)"
        )
        rgba = torch.tensor(page.execute_script(script), dtype=torch.uint8).view(-1, 4)
        assert torch.equal(rgba[:, :channels].T.flatten(), images.pixels[3])
        assert torch.equal(rgba[:, 2], rgba[:, 0]) == (channels == 1)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_computes_networks_of_a_persons_own(page, name):
    inputs, labels, make = NETWORKS[name]
    torch.manual_seed(0)
    network, y = make(), torch.eye(labels)[1:2] if labels else None
    script = "return Array.from(makeNetwork(arguments[0], arguments[1])(arguments[2], 1))"
    for values in torch.randn(3, 1, inputs, generator=generator("cpu", "page", name)):
        steps = networks._network(network, (values, y), lambda values=values: network(values, y), networks.TOLERANCE)
        found = page.execute_script(script, steps, labels, values[0].tolist())
        with torch.inference_mode():
            torch.testing.assert_close(torch.tensor(found), network(values, y).flatten(), atol=5e-3, rtol=0)
