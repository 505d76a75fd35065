"""The figures of the report, each with its claim, its runs, what is measured of it and how that is judged.

The report is "Variational AutoEncoder++", Feng Chen and Fanxuan Guo, University of Toronto, 2021.
"""

from vaecli.report.definitions import Figure
from vaecli.report.figures.beta import BETA_LIKELIHOOD
from vaecli.report.figures.dimensions import LATENT_SPACES, LOSSES, SAMPLES, VARIANCES
from vaecli.report.figures.divergence import JENSEN_SHANNON
from vaecli.report.figures.fashion import CONVOLUTIONS, FASHION_MNIST
from vaecli.report.figures.inpainting import INPAINTING
from vaecli.report.figures.iwae import CLEARER, IWAE_LOSSES
from vaecli.report.figures.labels import ARCHITECTURE, COMPLETE, GIVEN_LABELS

FIGURES: tuple[Figure, ...] = (
    LATENT_SPACES,
    SAMPLES,
    LOSSES,
    VARIANCES,
    ARCHITECTURE,
    GIVEN_LABELS,
    COMPLETE,
    FASHION_MNIST,
    JENSEN_SHANNON,
    IWAE_LOSSES,
    CLEARER,
    BETA_LIKELIHOOD,
    INPAINTING,
    CONVOLUTIONS,
)
