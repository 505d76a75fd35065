"""How the learning rate and the weight of KL change while a model is trained."""

import math

from vaecli.config import Config

_STAGES = 8


def learning_rate(config: Config, epoch: int) -> float:
    """Adam's learning rate in an epoch, from 1.

    ``constant``: the setting `lr`. ``cosine``: from that to nearly 0 by the last epoch (Loshchilov & Hutter 2017, one cycle).
    ``burda``: eight stages of 1, 3, 9, ... 3^7 epochs, 3280 in all, each 10^(1/7) lower than the one before (Burda et al. 2015,
    section 5: from 1e-3 to 1e-4).
    """
    match config.lr_schedule:
        case "cosine":
            return config.lr * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / config.number("epochs")))
        case "burda":
            stage = next((i for i in range(_STAGES) if epoch <= (3 ** (i + 1) - 1) // 2), _STAGES - 1)
            return config.lr * 10 ** (-stage / (_STAGES - 1))
        case _:
            return config.lr


def kl_weight(config: Config, done: float) -> float:
    """The weight of KL for the step after `done` epochs, such as 2.5: from 0 linearly up to the setting, over `kl_warmup` epochs.

    Bowman et al. 2016, arXiv:1511.06349, section 3.1; linearly: Sonderby et al. 2016, arXiv:1602.02282, section 2.3.
    """
    weight, epochs = float(config.kl_weight or 0), float(config.kl_warmup or 0)
    return weight if done >= epochs else weight * done / epochs


def warm_up(config: Config, step: int) -> float:
    """The share of the learning rate at a step of the run, from 1: it rises linearly to 1 over the first `lr_warmup` steps.

    Adam's first steps move every weight by about the learning rate, however small its gradient, and so an output of thousands of
    inputs by thousands of learning rates (Ma & Yarats 2021, arXiv:1910.04209).
    """
    return min(1.0, step / (config.lr_warmup or 1))
