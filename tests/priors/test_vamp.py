import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

import vaecli
from vaecli.config import Config
from vaecli.model import build
from vaecli.seeding import generator


def made(images, **settings):
    return build(Config(prior="vamp", components=30, hidden=(20,), latent_dim=3, **settings), images)


def test_it_is_the_mixture_of_the_posteriors_of_its_pseudo_inputs(digits):
    for labels in ("none", "full"):
        model = made(digits, labels=labels)
        model.prior.logits.data.copy_(torch.randn(30, generator=generator("cpu", "logits")))
        x, y = model.prior.inputs[:, :784], model.prior.inputs[:, 784:] if labels == "full" else None
        with torch.no_grad():
            q = model.posterior(x, y)
            parts = Independent(Normal(q.loc.double(), q.stddev.double()), 1)
            expected = MixtureSameFamily(Categorical(logits=model.prior.logits.double()), parts)
            z = torch.randn(7, 2, 3, generator=generator("cpu", "z"))
            torch.testing.assert_close(model.prior().log_prob(z).double(), expected.log_prob(z.double()), rtol=1e-4, atol=1e-4)


def test_it_begins_at_training_images_and_their_labels(digits):
    def nearest(inputs, images):
        distance, index = torch.cdist(inputs, images).min(1)
        assert float(distance.max()) < 0.01 * 784**0.5 * 1.5  # as far as the noise is
        return index

    model = made(digits, labels="full")
    at = nearest(model.prior.inputs[:, :784].detach(), model.observe(digits.pixels))
    assert len(at.unique()) == 30
    assert torch.equal(model.prior.inputs[:, 784:].argmax(1), digits.labels[at])
    few = made(digits[:4])
    assert len(nearest(few.prior.inputs.detach(), few.observe(digits.pixels[:4])).unique()) == 4
    # two that begin at one image are not the same for good
    assert len(few.prior.inputs.unique(dim=0)) == 30


def test_a_run_opens_without_images(small_mnist, tmp_path):
    config = Config(prior="vamp", components=5, hidden=(8,), limit=100, epochs=1)
    run = vaecli.train(config, tmp_path / "vamp", data_dir=small_mnist, threads=1)
    opened = vaecli.load(tmp_path / "vamp").model
    assert torch.equal(opened.prior.inputs, run.model.prior.inputs)
    z = torch.randn(4, 2, generator=generator("cpu", "z"))
    assert torch.equal(opened.prior().log_prob(z), run.model.prior().log_prob(z))
