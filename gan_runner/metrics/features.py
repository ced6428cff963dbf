"""Metrics that compare images in the feature space of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from gan_runner.datasets.labels import Attributes, Labels
from gan_runner.extractors.base import Extractor
from gan_runner.extractors.classifier import TrainedClassifier
from gan_runner.metrics.base import Better, Positive, TwoOrMore
from gan_runner.metrics.classifier_score import classifier_score
from gan_runner.metrics.frechet import frechet_distance, moments
from gan_runner.metrics.kernel_distance import kernel_distance, size_of_subsets
from gan_runner.metrics.neighbours import precision_recall_density_coverage
from gan_runner.models.conditions import LabelCondition
from gan_runner.requirements import Requirement

if TYPE_CHECKING:
    from gan_runner.metrics.results import Reference, Results
    from gan_runner.system import System


@dataclass(frozen=True)
class FeatureMetric:
    """Base class of metrics on features; the names of their values include the name of the network.

    Args:
        extractor: the feature network. Metrics with equal extractors share features.
    """

    extractor: Extractor

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Images that the network accepts."""
        return (self.extractor.check,)

    @property
    def conditions(self) -> dict[str, Any]:
        """The extractor, how it resizes images, and the options of the metric."""
        options = {name: value for name, value in vars(self).items() if name != "extractor"}
        return {"extractor": self.extractor.name, "resize": self.extractor.resize, **options}

    def prepare(self, reference: Reference) -> None:
        """Load the network."""
        reference.load_extractor(self.extractor)


@dataclass(frozen=True)
class FrechetDistance(FeatureMetric):
    """Fréchet distance between Gaussians fitted to features: `fid` by Inception, `fd_NAME` by another network."""

    streaming: ClassVar[bool] = True
    least_samples: ClassVar[int] = 2

    @property
    def directions(self) -> Mapping[str, Better]:
        """Less is better."""
        return {self.extractor.metric_name("fd"): min}

    def __call__(self, results: Results) -> dict[str, float]:
        """Return the distance in squared units of the features; few samples bias it upwards."""
        fake = moments(results.feature_chunks(self.extractor))
        return {self.extractor.metric_name("fd"): frechet_distance(results.reference.moments(self.extractor), fake)}


@dataclass(frozen=True)
class KernelDistance(FeatureMetric):
    """Squared MMD of features with a cubic kernel: `kid` by Inception, `kd_NAME` by another network.

    Args:
        extractor: the feature network.
        subsets: number of random subsets to average over.
        subset_size: samples per subset, at most.
    """

    subsets: Positive = 100
    subset_size: TwoOrMore = 1000

    least_samples: ClassVar[int] = 2

    @property
    def directions(self) -> Mapping[str, Better]:
        """Less is better."""
        return {self.extractor.metric_name("kd"): min}

    def counts(self, options: Mapping[str, Any], samples: int, real: int) -> dict[str, int]:
        """The size of the subsets, which may be smaller than configured."""
        return {"subset_size": size_of_subsets(samples, real, self.subset_size)}

    def __call__(self, results: Results) -> dict[str, float]:
        """Return the unbiased estimate, which may be negative, and its standard deviation over subsets."""
        real, fake = results.reference.features(self.extractor), results.extract(self.extractor).features
        mean, sd = kernel_distance(real, fake, self.subsets, self.subset_size)
        name = self.extractor.metric_name("kd")
        return {name: mean, f"{name}_sd": sd}


@dataclass(frozen=True)
class PrecisionRecall(FeatureMetric):
    """Precision, recall, density and coverage of features (Kynkäänniemi et al. 2019; Naeem et al. 2020).

    Args:
        extractor: the feature network.
        k: the radius of a ball is the distance to the k-th nearest neighbour.
    """

    k: Positive = 5

    @property
    def least_samples(self) -> int:
        """One more than `k`, since a sample is no neighbour of itself."""
        return self.k + 1

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better."""
        return {self.extractor.metric_name(kind): max for kind in ("precision", "recall", "density", "coverage")}

    def __call__(self, results: Results) -> dict[str, float]:
        """Return fractions; only density may exceed one."""
        real, fake = results.reference.features(self.extractor), results.extract(self.extractor).features
        values = precision_recall_density_coverage(real, fake, self.k)
        return {self.extractor.metric_name(kind): value for kind, value in values.items()}


def needs_label_condition(system: System) -> None:
    """Require samples conditioned on labels."""
    if not isinstance(system.networks.get("condition"), LabelCondition):
        raise ValueError("it needs samples conditioned on labels; choose game=conditional, or leave it out")


@dataclass(frozen=True)
class LabelAccuracy(FeatureMetric):
    """Accuracy of a classifier on samples, against the labels that they are conditioned on.

    Args:
        extractor: a classifier that is trained on the labels of the dataset.
    """

    extractor: TrainedClassifier

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Samples conditioned on labels, and a classifier of these labels."""
        return (needs_label_condition, *super().requirements)

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better."""
        return {self.extractor.metric_name("accuracy"): max}

    def __call__(self, results: Results) -> dict[str, float]:
        """Return the accuracy; for attributes also the fraction of samples with all attributes correct."""
        condition = results.system.networks["condition"]
        labels: Labels = condition.labels  # type: ignore[assignment]
        correct = labels.correct(results.extract(self.extractor).logits, results.noise[:, -labels.dim :])
        name = self.extractor.metric_name("accuracy")
        faultless = {} if correct.shape[1] == 1 else {f"{name}_faultless": correct.all(1).double().mean().item()}
        return {name: correct.double().mean().item(), **faultless}


@dataclass(frozen=True)
class ClassifierScore(FeatureMetric):
    """Inception score, or the score `score_NAME` of another classifier.

    Args:
        extractor: the classifier.
        splits: number of splits of the samples to average over.
    """

    splits: Positive = 10

    @property
    def least_samples(self) -> int:
        """One for each split."""
        return self.splits

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A network that predicts one class per image."""
        return (*super().requirements, self.check_classes)

    def check_classes(self, system: System) -> None:
        """Raise ValueError if the classifier is trained on attributes instead of classes."""
        if isinstance(self.extractor, TrainedClassifier) and isinstance(system.dataset.labels, Attributes):
            raise ValueError(
                "it needs one class per sample, and this dataset has attributes; choose extractor=inception"
            )

    @property
    def directions(self) -> Mapping[str, Better]:
        """More is better."""
        return {self.extractor.metric_name("score"): max}

    def __call__(self, results: Results) -> dict[str, float]:
        """Return the score, from 1 to the number of classes, and its standard deviation over splits."""
        mean, sd = classifier_score(results.extract(self.extractor).logits.double().softmax(1), self.splits)
        name = self.extractor.metric_name("score")
        return {name: mean, f"{name}_sd": sd}
