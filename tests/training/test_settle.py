import pytest

from vaecli import registry
from vaecli.config import Config
from vaecli.errors import UsageError
from vaecli.training import settle as rules
from vaecli.training.settle import settle, spoken, trained_on

FOLDER = Config(dataset="folder")


@pytest.mark.parametrize("images", [*range(1, 70), 99, 100, 240, 999, 1000, 1599, 1601, 3436, 9999, 20_000, 123_457, 2_000_000])
def test_about_three_thousand_steps_in_five_epochs_or_more(images):
    settled = settle(FOLDER, images)
    steps = -(-images // settled.batch_size)
    assert settled.epochs >= 5
    assert settled.epochs * steps >= 3000
    # one epoch more than needed at most, unless five take more
    assert (settled.epochs - 1) * steps < 3000 or settled.epochs == 5
    assert min(images, 11) <= settled.batch_size <= 210
    # the last batch is no remnant: with batches of one size there are as many steps
    assert settled.batch_size - (steps * settled.batch_size - images) > 0
    measurements = -(-settled.epochs // settled.measure_every)
    assert 5 <= measurements <= 3000
    assert measurements <= 61 or steps * settled.measure_every >= 50


def test_a_settled_run_is_settled_for_good():
    settled = settle(FOLDER, 31)
    assert (settled.batch_size, settled.epochs, settled.measure_every) == (16, 1500, 50)
    assert settle(settled, 5000) == settled
    assert Config.from_json(settled.to_json()) == settled
    assert spoken(settled, 31) == "31 training images: batches of 16, 1,500 epochs of 2 steps, measured and saved every 50"
    assert spoken(settle(FOLDER, 1), 1) == "1 training image: batches of 1, 3,000 epochs of 1 step, measured and saved every 100"


def test_what_is_given_is_kept():
    assert settle(Config(dataset="folder", epochs=7), 31).epochs == 7
    assert settle(Config(dataset="folder", epochs=7), 31).measure_every == 1
    assert settle(Config(dataset="folder", batch_size=31), 31).epochs == 3000
    assert settle(Config(dataset="folder", measure_every=2), 31).measure_every == 2
    # 100 steps between two measurements, however many epochs are asked for
    assert settle(Config(dataset="folder", epochs=3000, batch_size=100), 1000).measure_every == 10
    for images in (10, 60_000):
        assert settle(Config(), images) == Config()


def test_images_that_fit_in_memory_are_shuffled_all_together(monkeypatch):
    monkeypatch.setattr(rules, "machine_memory", lambda: 2 * 1000 * 64 * 64 * 3)
    assert settle(FOLDER, 1000).shuffle == "all"
    assert settle(FOLDER, 1001).shuffle == "blocks"
    assert settle(Config(dataset="folder", shuffle="all"), 1001).shuffle == "all"
    assert settle(Config(shuffle="auto"), 1000).shuffle == "all"
    assert settle(settle(FOLDER, 1001), 10).shuffle == "blocks"
    assert Config().shuffle == "all"


@pytest.mark.parametrize("dataset", registry.names("dataset"))
def test_data_sets_with_names_keep_their_defaults(dataset):
    config = Config(dataset=dataset)
    usual = (5, 200, None, "constant", "data")
    own = ("auto", "auto", "auto", "cosine", "data")
    assert (config.epochs, config.batch_size, config.measure_every, config.lr_schedule, config.init_bias) == (
        own if registry.find("dataset", dataset).own_labels else usual
    )
    assert config.run_name == f"{dataset}-z2-elbo"
    assert ("measure_every" in config.to_json()) == registry.find("dataset", dataset).own_labels


def test_auto_is_a_setting_of_any_data_set_and_in_its_name():
    config = Config(epochs="auto", batch_size="auto")
    assert config.run_name == "mnist-z2-elbo-eauto-bsauto"
    assert (settle(config, 60_000).batch_size, settle(config, 60_000).epochs) == (200, 10)
    assert Config(dataset="folder", epochs=3, lr_schedule="constant").run_name == "folder-z2-elbo-e3-constant"


def test_what_is_not_settled_has_no_number():
    with pytest.raises(UsageError, match="epochs=auto: it is settled when the images are known"):
        FOLDER.number("epochs")
    for name in ("epochs", "batch_size", "measure_every"):
        for wrong in ("car", 0, 1.5, True):
            with pytest.raises(UsageError, match=f"{name}={wrong}: expected a whole number from 1 to .* or auto"):
                Config(**{name: wrong})


@pytest.mark.parametrize(
    ("settings", "count"), [({}, 100), ({"limit": 30}, 30), ({"validation": 40}, 60), ({"validation": 40, "limit": 90}, 60)]
)
def test_the_images_that_count_are_those_trained_on(settings, count):
    assert trained_on(Config(**settings), 100) == count
