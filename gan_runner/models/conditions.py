"""What a generator and its critic are told beside latents and data, as a network that nobody descends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, HasLabelFrequencies
from gan_runner.datasets.captions import CaptionedImageDataset, HasCaptions, decode, encode, left_out
from gan_runner.datasets.labels import Labels
from gan_runner.models.text import JointEmbedding, TextEncoder
from gan_runner.tools.precision import full_precision
from gan_runner.turn import Batch

KNOWN = 1000
"""Sentences of the data that are kept, so that samples can be drawn where there is no data."""

SHOWN = 64
"""Sentences that are kept to be shown in pictures."""


class Condition(Protocol):
    """Conditions (n, dim) of batches, of samples that nobody asked for in particular, and of words.

    Attributes:
        dim: length of a condition.
        told_by: the option of `gan-sample` by which a person says which one is meant: label or text.
    """

    dim: int
    told_by: ClassVar[str]

    def __call__(self, batch: Batch) -> Tensor:
        """Those of a batch: (n, dim)."""

    def prepare(self, data: Data) -> None:
        """Keep the data's, or some of them."""

    def draw(self, n: int, rng: torch.Generator, data: Data | None = None) -> Tensor:
        """n of those that are kept, or of this data, on the CPU: (n, dim)."""

    def parse(self, text: str) -> Tensor:
        """The condition (dim,) that a person means.

        Raises:
            ValueError: there is no such thing.
        """

    def left_out(self, text: str) -> str:
        """What of such words makes no difference, for people; empty if all of them do."""

    def shown(self, n: int) -> tuple[Tensor, list[str]]:
        """At most n conditions (k, dim) that are worth a row of a picture each, on the CPU, and what they say."""


def condition_of(networks: Mapping[str, nn.Module]) -> Condition:
    """The network of a conditional game that makes its conditions."""
    return cast(Condition, networks["condition"])


class LabelCondition(nn.Module):
    """Labels, or attributes, as vectors.

    Samples are drawn for labels of the data, in the shares that they have there: each different one is kept with its
    own, so how many rows there are is known by the data alone.

    Args:
        labels: what they mean.
    """

    told_by: ClassVar[str] = "label"

    known: Tensor
    shares: Tensor

    def __init__(self, labels: Labels):
        super().__init__()
        self.labels = labels
        self.dim = labels.dim
        self.register_buffer("known", torch.zeros(0, self.dim, dtype=torch.uint8))
        self.register_buffer("shares", torch.zeros(0))
        self.register_load_state_dict_pre_hook(self.make_room)

    @staticmethod
    def make_room(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
        """Before a checkpoint is loaded: for as many labels as it has."""
        for name in ("known", "shares"):
            if f"{prefix}{name}" in state:
                buffer = getattr(module, name)
                setattr(module, name, buffer.new_empty(state[f"{prefix}{name}"].shape))

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (n, dim) of a batch."""
        return self.labels.vectors(batch["label"]).to(batch["data"].dtype)

    def negative_log_likelihood(self, logits: Tensor, condition: Tensor) -> Tensor:
        """−log P(condition) in nats under logits (n, dim): (n,)."""
        return self.labels.negative_log_likelihood(logits, condition)

    def prepare(self, data: Data) -> None:
        """Keep the different ones, and the share of the data that has each."""
        assert isinstance(data, HasLabelFrequencies)
        different, shares = data.label_frequencies()
        self.known = self.labels.vectors(different).to(self.known)
        self.shares = shares.to(self.shares)

    def draw(self, n: int, rng: torch.Generator, data: Data | None = None) -> Tensor:
        """In their shares, at random: (n, dim)."""
        known, shares = self.known, self.shares
        if isinstance(data, HasLabelFrequencies):
            different, shares = data.label_frequencies()
            known = self.labels.vectors(different)
        chosen = torch.multinomial(shares.cpu(), n, replacement=True, generator=rng)
        return known.cpu()[chosen].to(torch.get_default_dtype())

    def parse(self, text: str) -> Tensor:
        """A class by its name or number; attributes by their names, with commas between them: (dim,)."""
        return self.labels.parse(text)

    def left_out(self, text: str) -> str:
        """Nothing: what is no name is refused."""
        return ""

    def shown(self, n: int) -> tuple[Tensor, list[str]]:
        """n different ones of the data, in order; of many, some evenly."""
        vectors = self.known.cpu().to(torch.get_default_dtype()).unique(dim=0).flip(0)
        if len(vectors) > n:
            vectors = vectors[torch.linspace(0, len(vectors) - 1, n).long()]
        return vectors, [self.labels.describe(vector) for vector in vectors]


class TextCondition(nn.Module):
    """Captions as vectors φ(t), of an encoder that was trained on the training split beforehand and stays as it is.

    φ is shifted and scaled so that over the captions of the training split its elements have mean zero and their mean
    square is one, as those of a latent beside it. Samples are drawn for captions of the training split; pictures show
    those of the test split, where there is one, which may be of what was never trained on.

    Args:
        captioned: the images with captions.
        encoder: of sentences.
        training: of the encoder.
    """

    told_by: ClassVar[str] = "text"

    known: Tensor
    unseen: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, captioned: CaptionedImageDataset, encoder: TextEncoder, training: JointEmbedding):
        super().__init__()
        self.captioned = captioned
        self.encoder = encoder.requires_grad_(False)
        self.dim = encoder.dim
        self.learnt = training
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("known", torch.zeros(KNOWN, encoder.caption_length, dtype=torch.uint8))
        self.register_buffer("unseen", torch.zeros(SHOWN, encoder.caption_length, dtype=torch.uint8))

    def forward(self, batch: Batch) -> Tensor:
        """φ (n, dim) of a batch's captions."""
        return self.phi(batch["caption"]).to(batch["data"].dtype)

    def phi(self, codes: Tensor) -> Tensor:
        """φ (n, dim) of character codes (n, caption_length), in full precision: sentences differ by little."""
        with full_precision(codes):
            return (self.encoder(codes) - self.mean) / self.deviation

    @torch.no_grad()
    def prepare(self, data: Data) -> None:
        """Train the encoder on the data, unless it is kept from before; keep a thousand captions."""
        self.encoder.load_state_dict(self.learnt.weights(self.captioned, data, self.encoder))
        codes = data.first(KNOWN)["caption"]
        self.known.copy_(codes[torch.arange(KNOWN, device=codes.device) % len(codes)])
        unseen = self.captioned.captions(SHOWN, "test")[0] if "test" in self.captioned.splits else self.known[:SHOWN]
        self.unseen.copy_(unseen)
        raw = self.encoder(self.known)
        self.mean.copy_(raw.mean(0))
        self.deviation.copy_((raw - self.mean).square().mean().sqrt())

    @torch.no_grad()
    def draw(self, n: int, rng: torch.Generator, data: Data | None = None) -> Tensor:
        """Of captions of the training split, at random; or the first ones of this data: (n, dim)."""
        if data is None:
            return self.phi(self.known).cpu()[torch.randint(KNOWN, (n,), generator=rng)]
        assert isinstance(data, HasCaptions)
        codes, _ = data.captions(n)
        return torch.cat([self.phi(some).cpu() for some in codes.to(self.known.device).split(KNOWN)])

    @torch.no_grad()
    def parse(self, text: str) -> Tensor:
        """A sentence as φ (dim,).

        Raises:
            ValueError: it has no character of the alphabet.
        """
        codes = encode(text, self.encoder.caption_length).to(self.known.device)
        return self.phi(codes.unsqueeze(0))[0].cpu()

    def left_out(self, text: str) -> str:
        """Characters that the encoder does not know, and what is too long for it."""
        return left_out(text, self.encoder.caption_length)

    @torch.no_grad()
    def shown(self, n: int) -> tuple[Tensor, list[str]]:
        """The first n captions of the test split, or of the only one there is."""
        codes = self.unseen[:n]
        return self.phi(codes).cpu(), [decode(code) for code in codes]
