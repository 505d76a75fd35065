import pytest
import torch

import vaecli
from tests.helpers import write_idx
from tests.parts.pairs import small


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Runs of two latents, trained once each, by the names of their prior and posterior."""
    runs, root = {}, tmp_path_factory.mktemp("parts")
    for split, name, count in ("train", "train", 2000), ("test", "t10k", 200):
        write_idx(root / "digits", name, vaecli.load_images("mnist", split, limit=count))

    def run(prior, posterior):
        if (prior, posterior) not in runs:
            # a test without gradients may be the first to ask
            with torch.inference_mode(False), torch.enable_grad():
                config = small(prior, posterior, hidden=(30,), epochs=2, batch_size=50, lr=3e-3)
                runs[prior, posterior] = vaecli.train(config, root / f"{prior}-{posterior}", data_dir=root / "digits", threads=1)
        return runs[prior, posterior]

    return run
