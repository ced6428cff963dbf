"""Metrics: figures of how good samples are.

A metric is a function of the `Results` of a game, which returns named floats. With `figures` it says for each
of them whether less (`min`) or more (`max`) is better; with `requires`, what it demands of the parts that play.
"""

from gan_runner.metrics.captions import CaptionAccuracy
from gan_runner.metrics.classification import ClassificationError
from gan_runner.metrics.codes import CodeError, MutualInformation
from gan_runner.metrics.critic import divergence, log_ratio, order, sign, transport
from gan_runner.metrics.distance import distance
from gan_runner.metrics.energy import equilibrium, total_variation
from gan_runner.metrics.features import ClassifierScore, FrechetDistance, KernelDistance, LabelAccuracy, PrecisionRecall
from gan_runner.metrics.figures import best_of, figures
from gan_runner.metrics.gaussianity import latent_gaussianity
from gan_runner.metrics.independent_critic import independent_critic
from gan_runner.metrics.likelihood import bits_per_dimension
from gan_runner.metrics.mmd import mmd, mmd_gap
from gan_runner.metrics.modes import ClassifiedModes, mode_coverage
from gan_runner.metrics.ms_ssim import ms_ssim_diversity
from gan_runner.metrics.optimal_transport import optimal_transport
from gan_runner.metrics.parzen import parzen
from gan_runner.metrics.push import push
from gan_runner.metrics.reconstruction import Reconstruction
from gan_runner.metrics.results import Reference, Results
from gan_runner.metrics.sliced_wasserstein import sliced_wasserstein

__all__ = [
    "CaptionAccuracy",
    "ClassificationError",
    "ClassifiedModes",
    "ClassifierScore",
    "CodeError",
    "FrechetDistance",
    "KernelDistance",
    "LabelAccuracy",
    "MutualInformation",
    "PrecisionRecall",
    "Reconstruction",
    "Reference",
    "Results",
    "best_of",
    "bits_per_dimension",
    "distance",
    "divergence",
    "equilibrium",
    "figures",
    "independent_critic",
    "latent_gaussianity",
    "log_ratio",
    "mmd",
    "mmd_gap",
    "mode_coverage",
    "ms_ssim_diversity",
    "optimal_transport",
    "order",
    "parzen",
    "push",
    "sign",
    "sliced_wasserstein",
    "total_variation",
    "transport",
]

FIGURES = {
    name: best_of(globals()[name]) for name in __all__ if isinstance(getattr(globals()[name], "figures", None), dict)
}
"""What each metric measures whose figures are always the same, by the metric's name."""
