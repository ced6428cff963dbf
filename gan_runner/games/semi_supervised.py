"""Semi-supervised learning: a discriminator that also classifies, from few labels.

Salimans et al. 2016, arXiv:1606.03498, Section 5: of K + 1 classes, K are those of the data and the last is
"generated". Adding a constant to all logits changes nothing, so the last logit is fixed at 0. With the other K logits
l(x), D(x) = Z / (Z + 1) where Z = Σ exp l(x): the sigmoid of the score log Z.
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
    """A GAN's turn with labelled samples."""

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        return super().symbols | {"labelled": "xₗ", "labelled_label": "yₗ"}

    @lazy
    def labelled(self) -> Tensor:
        """Labelled samples (n, *shape)."""
        return self.batch["labelled"]

    @lazy
    def labelled_label(self) -> Tensor:
        """Classes of the labelled samples: (n,)."""
        return self.batch["labelled_label"]

    @lazy
    def labelled_logits(self) -> Tensor:
        """The discriminator's logits of the labelled samples: (n, K)."""
        with self.grad_if_owned(self.critic_name):
            return self.classify(self.features(self.labelled))


@dataclass(frozen=True)
class SemiSupervised(GAN):
    """Generator against a discriminator that is also a classifier.

    Args:
        latent: the prior p(z) of the generator's latents.
        critic: the name of the network that scores and classifies.
        labelled: which labels are known.
        prepare_on: the least number of samples for data-dependent initialisation.
    """

    labelled: LabelledSubset = field(default_factory=LabelledSubset)
    prepare_on: int = 500

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """Check that the discriminator classifies."""
        return (self.check,)

    def check(self, networks: Mapping[str, nn.Module]) -> None:
        """Raise ValueError if the discriminator has no logits."""
        critic: Any = networks[self.critic]
        if not isinstance(critic.head[-1], Classifier):
            raise ValueError(
                "the discriminator of this game must classify; leave out what changes model.discriminator.head"
            )

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """The number of classes.

        Raises:
            ValueError: the data has no classes, or the number of labels is not a multiple of that of classes.
        """
        classes = classes_of(dataset)
        self.labelled.per_class(classes)
        return {**super().network_kwargs(dataset), "num_classes": classes}

    def prepare(self, networks: Mapping[str, nn.Module], data: Data, n: int) -> None:
        """Run the data-dependent initialisation on n samples, at least `prepare_on`."""
        super().prepare(networks, data, max(n, self.prepare_on))

    def seen(self, dataset: Dataset, data: Data) -> Data:
        """The data with few labels; no batch contains the other labels."""
        return PartlyLabelled(data, self.labelled, classes_of(dataset))

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> SemiSupervisedTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return SemiSupervisedTurn(self, networks, owned, batch)

    def classify(self, networks: Mapping[str, nn.Module], x: Tensor) -> Tensor:
        """Logits (n, K) of data (n, *shape)."""
        critic: Any = networks[self.critic]
        return critic.classify(critic.features(x))


def classes_of(dataset: Dataset) -> int:
    """The number of classes of a dataset.

    Raises:
        ValueError: it has no classes.
    """
    labels = dataset.labels
    if not isinstance(labels, Classes):
        raise ValueError(
            "a classifier needs classes, and this dataset has none; choose one with classes, such as dataset=mnist or "
            "digits"
        )
    return labels.dim
