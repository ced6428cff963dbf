"""A discriminator that also classifies, from few labels (Salimans et al. 2016, arXiv:1606.03498, Section 5).

Of K + 1 classes, K are those of the data and the last is "generated". Logits can be shifted together, so the last one
is fixed at 0: what remains are K logits l, and D(x) = Z / (Z + 1) with Z = Σ exp l(x), the sigmoid of the score log Z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from gan_runner.datasets.base import Data, Dataset
from gan_runner.datasets.labelled import LabelledSubset, PartlyLabelled
from gan_runner.datasets.labels import Classes
from gan_runner.games.gan import GAN, GANTurn
from gan_runner.models.networks import Classifier
from gan_runner.requirements import Requirement
from gan_runner.turn import Batch, lazy


class SemiSupervisedTurn(GANTurn):
    """Also samples whose labels are known."""

    @lazy
    def labelled(self) -> Tensor:
        """Samples (n, *shape) whose labels are known."""
        return self.batch["labelled"]

    @lazy
    def labelled_label(self) -> Tensor:
        """Their classes (n,)."""
        return self.batch["labelled_label"]

    @lazy
    def labelled_logits(self) -> Tensor:
        """What the discriminator takes them for: (n, K)."""
        with self.grad_if_owned(self.critic_name):
            return self.classify(self.features(self.labelled))


@dataclass(frozen=True)
class SemiSupervised(GAN):
    """Generator against a discriminator that is also a classifier.

    Args:
        latent: the prior p(z) that the generator is fed from.
        critic: the network that scores and classifies.
        labelled: which labels are known.
        prepare_on: samples that data-dependent initialisation sees, if those of a batch are fewer.
    """

    labelled: LabelledSubset = field(default_factory=LabelledSubset)
    prepare_on: int = 500

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """A discriminator that classifies."""
        return (self.check,)

    def check(self, networks: Mapping[str, nn.Module]) -> None:
        """Raise ValueError if the discriminator has no logits."""
        critic: Any = networks[self.critic]
        if not isinstance(critic.head[-1], Classifier):
            raise ValueError("its discriminator classifies; leave model.discriminator.head as this game has it")

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """How many classes there are.

        Raises:
            ValueError: the data has none, or they cannot share the labels equally.
        """
        classes = classes_of(dataset)
        self.labelled.each(classes)
        return {**super().network_kwargs(dataset), "num_classes": classes}

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Initialise what depends on data from at least `prepare_on` samples."""
        super().prepare(networks, data, max(n, self.prepare_on))

    def seen(self, dataset: Dataset, data: Data) -> Data:
        """The data with few labels: those of the others are never in a batch."""
        return PartlyLabelled(data, self.labelled, classes_of(dataset))

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> SemiSupervisedTurn:
        """What the player that owns `owned` sees of this batch."""
        return SemiSupervisedTurn(self, networks, owned, batch)

    def classify(self, networks: Mapping[str, nn.Module], x: Tensor) -> Tensor:
        """Logits (n, K) of data (n, *shape)."""
        critic: Any = networks[self.critic]
        return critic.classify(critic.features(x))


def classes_of(dataset: Dataset) -> int:
    """How many classes a dataset tells apart.

    Raises:
        ValueError: none.
    """
    labels = dataset.labels
    if not isinstance(labels, Classes):
        raise ValueError(
            "a classifier needs classes, and this dataset has none; choose one that has, as dataset=mnist or digits"
        )
    return labels.dim
