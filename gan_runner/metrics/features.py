"""Metrics that compare images through the eyes of a feature network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gan_runner.datasets.labels import Attributes, Labels
from gan_runner.extractors.base import Extractor
from gan_runner.extractors.classifier import TrainedClassifier
from gan_runner.metrics.base import Better
from gan_runner.metrics.classifier_score import classifier_score
from gan_runner.metrics.frechet import frechet_distance, moments
from gan_runner.metrics.kernel_distance import kernel_distance
from gan_runner.metrics.neighbours import precision_recall_density_coverage
from gan_runner.models.conditions import LabelCondition
from gan_runner.requirements import Requirement

if TYPE_CHECKING:
    from gan_runner.metrics.results import Reference, Results
    from gan_runner.system import System


@dataclass(frozen=True)
class FeatureMetric:
    """A metric whose figures carry the name of its feature network.

    Args:
        extractor: the network. Metrics with equal ones share what it has seen.
    """

    extractor: Extractor

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """What its network can look at."""
        return (self.extractor.check,)

    @property
    def conditions(self) -> dict[str, Any]:
        """On what it measures: its knobs, and how images reach the network."""
        knobs = {name: value for name, value in vars(self).items() if name != "extractor"}
        return {"extractor": self.extractor.name, "resize": self.extractor.resize, **knobs}

    def prepare(self, reference: Reference) -> None:
        """Open its network."""
        reference.load_extractor(self.extractor)


@dataclass(frozen=True)
class FrechetDistance(FeatureMetric):
    """Fréchet distance between Gaussians fitted to features: `fid` by Inception, `fd_NAME` by another network."""

    streaming: ClassVar[bool] = True

    @property
    def directions(self) -> Mapping[str, Better]:
        """Less is better."""
        return {self.extractor.metric_name("fd"): min}

    def __call__(self, results: Results) -> dict[str, float]:
        """In squared units of the features; biased upwards by few samples."""
        fake = moments(results.feature_chunks(self.extractor))
        return {self.extractor.metric_name("fd"): frechet_distance(results.reference.moments(self.extractor), fake)}


@dataclass(frozen=True)
class KernelDistance(FeatureMetric):
    """Squared MMD of features by a cubic kernel: `kid` by Inception, `kd_NAME` by another network.

    Args:
        extractor: the network.
        subsets: that it is the mean of.
        subset_size: samples in each.
    """

    subsets: int = 100
    subset_size: int = 1000

    @property
    def directions(self) -> Mapping[str, Better]:
        """Less is better."""
        return {self.extractor.metric_name("kd"): min}

    def __call__(self, results: Results) -> dict[str, float]:
        """Unbiased: it may be negative."""
        real, fake = results.reference.features(self.extractor), results.extract(self.extractor).features
        mean, sd = kernel_distance(real, fake, self.subsets, self.subset_size)
        name = self.extractor.metric_name("kd")
        return {name: mean, f"{name}_sd": sd}


@dataclass(frozen=True)
class PrecisionRecall(FeatureMetric):
    """Precision, recall, density and coverage of features (Kynkäänniemi et al. 2019; Naeem et al. 2020).

    Args:
        extractor: the network.
        k: neighbours that a ball reaches to.
    """

    k: int = 5

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better."""
        return {self.extractor.metric_name(kind): max for kind in ("precision", "recall", "density", "coverage")}

    def __call__(self, results: Results) -> dict[str, float]:
        """Shares; density may exceed one."""
        real, fake = results.reference.features(self.extractor), results.extract(self.extractor).features
        found = precision_recall_density_coverage(real, fake, self.k)
        return {self.extractor.metric_name(kind): value for kind, value in found.items()}


def needs_label_condition(system: System) -> None:
    """Samples must have been made for labels."""
    if not isinstance(system.networks.get("condition"), LabelCondition):
        raise ValueError("it reads the labels that samples were made for; choose game=conditional, or leave it out")


@dataclass(frozen=True)
class LabelAccuracy(FeatureMetric):
    """Whether a classifier sees in samples the labels that they were made for.

    Args:
        extractor: the classifier, trained on the data's own labels.
    """

    extractor: TrainedClassifier

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """There are labels, and a classifier of them."""
        return (needs_label_condition, *super().requirements)

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better."""
        return {self.extractor.metric_name("accuracy"): max}

    def __call__(self, results: Results) -> dict[str, float]:
        """The share of samples of the right class; of attributes, of right answers, and of samples without a fault."""
        condition = results.system.networks["condition"]
        labels: Labels = condition.labels  # type: ignore[assignment]
        hits = labels.correct(results.extract(self.extractor).logits, results.noise[:, -labels.dim :])
        name = self.extractor.metric_name("accuracy")
        faultless = {} if hits.shape[1] == 1 else {f"{name}_faultless": hits.all(1).double().mean().item()}
        return {name: hits.double().mean().item(), **faultless}


@dataclass(frozen=True)
class ClassifierScore(FeatureMetric):
    """The Inception score, and the same of another classifier: `score_NAME`.

    Args:
        extractor: the classifier.
        splits: of the samples, that it is the mean of.
    """

    splits: int = 10

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Its network tells classes."""
        return (*super().requirements, self.check_classes)

    def check_classes(self, system: System) -> None:
        """Raise ValueError if the network is trained on attributes, many of which a sample may have."""
        if isinstance(self.extractor, TrainedClassifier) and isinstance(system.dataset.labels, Attributes):
            raise ValueError("it needs one class a sample, and this dataset has attributes; choose extractor=inception")

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better."""
        return {self.extractor.metric_name("score"): max}

    def __call__(self, results: Results) -> dict[str, float]:
        """From 1 to the number of classes, and its deviation over splits."""
        mean, sd = classifier_score(results.extract(self.extractor).logits.double().softmax(1), self.splits)
        name = self.extractor.metric_name("score")
        return {name: mean, f"{name}_sd": sd}
