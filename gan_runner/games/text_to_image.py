"""Images for sentences (Reed et al. 2016, arXiv:1605.05396): a conditional game whose condition is φ(t) of a caption.

Beside matching pairs, its turn knows two of which the data has none: an image beside the caption of another, and a
fake for what lies between two captions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Dataset
from gan_runner.datasets.captions import CaptionedImageDataset
from gan_runner.distributed.sharding import all_gather, global_batch, local_shard
from gan_runner.games.conditional import ConditionalGAN, ConditionalTurn, takes_conditions
from gan_runner.models.conditions import TextCondition
from gan_runner.models.heads import AuxiliaryHead
from gan_runner.models.text import same_class
from gan_runner.turn import Batch, lazy


class TextTurn(ConditionalTurn):
    """Also captions of other images, and images for what lies between two captions."""

    logged: tuple[str, ...] = ("real_scores", "fake_scores", "mismatched_scores")

    @lazy
    def other_condition(self) -> Tensor:
        """For each sample the condition of another one of the global batch, drawn at random: (n, condition_dim).

        It is of another class, or has other attributes, as long as there is any such in the batch.
        """
        n = global_batch(len(self.real))
        chance = torch.rand(n, n, device=self.real.device)
        if "label" in self.batch:
            chance = chance - same_class(all_gather(self.batch["label"])).to(chance.dtype)
        chance = chance - 2 * torch.eye(n, device=chance.device, dtype=chance.dtype)
        return all_gather(self.condition)[local_shard(chance.argmax(1))]

    @lazy
    def mismatched_scores(self) -> Tensor:
        """Scores (n,) of the data, each beside the caption of another image."""
        with self.grad_if_owned(self.critic_name):
            return self.score_with(self.real_features, self.real, self.other_condition)

    def between(self, share_of_own: float) -> tuple[Tensor, Tensor]:
        """Conditions β t₁ + (1 − β) t₂ (n, condition_dim) between captions and others, and fakes for them."""
        condition = share_of_own * self.condition + (1 - share_of_own) * self.other_condition
        with self.grad_if_owned("generator"):
            return condition, self.networks["generator"](torch.cat([self.noise, condition], 1))

    def scores_between(self, share_of_own: float) -> Tensor:
        """Scores (n,) of fakes for conditions between two captions, beside these conditions."""
        condition, x = self.between(share_of_own)
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.score_with(self.features(x), x, condition)


def reads_sentences(networks: Mapping[str, nn.Module]) -> None:
    """Conditions must be sentences, and the discriminator must be told of them."""
    if not isinstance(networks["condition"], TextCondition):
        raise ValueError("its condition is a sentence; leave model.condition as it is, or choose game=conditional")
    if any(isinstance(module, AuxiliaryHead) for network in networks.values() for module in network.modules()):
        raise ValueError("a sentence is no class that could be told from an image; choose method=int_cls, not ac_gan")


@dataclass(frozen=True)
class TextToImage(ConditionalGAN):
    """Generator against discriminator, both told what a caption says.

    Args:
        latent: the prior p(z) that the generator is fed from.
        critic: the network that scores.
        fixed: the network that makes conditions of batches, which nobody descends.
        condition_dim: length of φ.
    """

    condition_dim: int = 64

    requirements = (takes_conditions, reads_sentences)

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> TextTurn:
        """What the player that owns `owned` sees of this batch."""
        return TextTurn(self, networks, owned, batch)

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """Where captions come from, and how long they and a condition are.

        Raises:
            ValueError: the dataset has no captions.
        """
        if not isinstance(dataset, CaptionedImageDataset):
            raise ValueError(
                "it makes images for sentences, and this dataset has none; choose dataset=captioned_shapes, cub, "
                "oxford102 or coco, or game=conditional"
            )
        captions = {"captioned": dataset, "caption_length": dataset.caption_length}
        return {**captions, "condition_dim": self.condition_dim}
