"""Text to image (Reed et al. 2016, arXiv:1605.05396): a conditional GAN on the embedding φ(t) of a caption.

Its turn has two kinds of pairs that the data lacks: an image with the caption of another image, and a fake for an
interpolation of two captions.
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
from gan_runner.tools.formulas import Score
from gan_runner.turn import Batch, lazy


class TextTurn(ConditionalTurn):
    """A conditional turn with captions of other images, and with fakes for interpolated captions."""

    logged: tuple[str, ...] = ("real_scores", "fake_scores", "mismatched_scores")

    letter = "φ(t)"
    meaning = "φ(t): the embedding of t, the caption of x, given to the fake too"

    @property
    def symbols(self) -> dict[str, str]:
        """How its quantities are written in formulas, by their names."""
        others = {"other_condition": "φ(t′)", "mismatched_scores": Score("D", "x", "φ(t′)")}
        return super().symbols | others | {"interpolated_scores": Score("D", "G(z, φ̂)", "φ̂")}

    @lazy
    def other_condition(self) -> Tensor:
        """For each sample the condition of another, randomly drawn sample of the global batch: (n, condition_dim).

        The other sample has another class or other attributes, if the batch has any such sample.
        """
        n = global_batch(len(self.real))
        chance = torch.rand(n, n, device=self.real.device)
        if "label" in self.batch:
            chance = chance - same_class(all_gather(self.batch["label"])).to(chance.dtype)
        chance = chance - 2 * torch.eye(n, device=chance.device, dtype=chance.dtype)
        return all_gather(self.condition)[local_shard(chance.argmax(1))]

    @lazy
    def mismatched_scores(self) -> Tensor:
        """Scores (n,) of the real images, each given the caption of another image."""
        with self.grad_if_owned(self.critic_name):
            return self.score_with(self.real_features, self.real, self.other_condition)

    def between(self, share_of_own: float) -> tuple[Tensor, Tensor]:
        """Interpolated conditions β t₁ + (1 − β) t₂ (n, condition_dim) of two captions, and fakes for them."""
        return self.find(("between", share_of_own), lambda: self.interpolated(share_of_own))

    def interpolated(self, share_of_own: float) -> tuple[Tensor, Tensor]:
        """Compute what `between` returns."""
        condition = share_of_own * self.condition + (1 - share_of_own) * self.other_condition
        with self.grad_if_owned("generator"):
            return condition, self.networks["generator"](torch.cat([self.noise, condition], 1))

    def scores_between(self, share_of_own: float) -> Tensor:
        """Scores (n,) of fakes for interpolated conditions, given these conditions."""
        condition, x = self.between(share_of_own)
        with self.grad_if_owned(self.critic_name, "generator"):
            return self.score_with(self.features(x), x, condition)


def reads_sentences(networks: Mapping[str, nn.Module]) -> None:
    """Check that conditions are sentences, and that the discriminator does not classify them."""
    if not isinstance(networks["condition"], TextCondition):
        raise ValueError(
            "the condition of this game is a sentence; leave out the option that changes model.condition, or choose "
            "game=conditional"
        )
    if any(isinstance(module, AuxiliaryHead) for network in networks.values() for module in network.modules()):
        raise ValueError("method=ac_gan classifies images, and a sentence is no class; choose method=int_cls")


@dataclass(frozen=True)
class TextToImage(ConditionalGAN):
    """Generator against discriminator, both conditioned on captions.

    Args:
        latent: the prior p(z) of the generator's latents.
        critic: the name of the network that scores.
        fixed: networks that no player trains: the one that turns captions into conditions.
        condition_dim: the length of φ(t).
    """

    condition_dim: int = 64

    requirements = (takes_conditions, reads_sentences)

    def turn(self, networks: Mapping[str, nn.Module], owned: tuple[str, ...], batch: Batch) -> TextTurn:
        """The turn of the player that trains the networks named in `owned`."""
        return TextTurn(self, networks, owned, batch)

    def network_kwargs(self, dataset: Dataset) -> dict[str, Any]:
        """The dataset of captions, the length of a caption, and that of a condition.

        Raises:
            ValueError: the dataset has no captions.
        """
        if not isinstance(dataset, CaptionedImageDataset):
            raise ValueError(
                "text_to_image needs captions, and this dataset has none; choose dataset=captioned_shapes, cub, "
                "oxford102 or coco, or game=conditional"
            )
        captions = {"captioned": dataset, "caption_length": dataset.caption_length}
        return {**captions, "condition_dim": self.condition_dim}
