"""Networks without a player that turn labels or captions into condition vectors for generator and critic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, cast

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import Data, HasLabelFrequencies
from gan_runner.datasets.captions import CaptionedImageDataset, HasCaptions, decode, encode, ignored_text
from gan_runner.datasets.labels import Labels
from gan_runner.models.text import JointEmbedding, TextEncoder
from gan_runner.tools.precision import full_precision
from gan_runner.turn import Batch

NUM_KEPT = 1000
"""Number of training captions kept, so that samples can be drawn without the data."""

NUM_EXAMPLES = 64
"""Number of captions kept for sample pictures."""


class Condition(Protocol):
    """A network of conditions (n, dim): of a batch, drawn at random, or given by a user.

    Attributes:
        dim: length of a condition.
        sample_option: name of the option of `gan-sample` that chooses a condition: label or text.
    """

    dim: int
    sample_option: ClassVar[str]

    def __call__(self, batch: Batch) -> Tensor:
        """The conditions (n, dim) of a batch."""

    def prepare(self, data: Data) -> None:
        """Store conditions of the data, to draw from later."""

    def draw(self, n: int, rng: torch.Generator, data: Data | None = None) -> Tensor:
        """Draw n stored conditions, or conditions of `data` if given: (n, dim), on the CPU."""

    def parse(self, text: str) -> Tensor:
        """The condition (dim,) that a user typed.

        Raises:
            ValueError: the text names no condition.
        """

    def ignored(self, text: str) -> str:
        """The part of a user's text that has no effect, in words; empty if there is none."""

    def examples(self, n: int) -> tuple[Tensor, list[str]]:
        """At most n conditions (k, dim) for the rows of a picture, on the CPU, and their captions."""


def condition_network(networks: Mapping[str, nn.Module]) -> Condition:
    """The network that computes the conditions of a conditional game."""
    return cast(Condition, networks["condition"])


class LabelCondition(nn.Module):
    """Labels or attributes as vectors.

    Labels of samples are drawn with the frequencies that they have in the data. Each distinct label is stored with its
    frequency, so the number of rows depends on the data.

    Args:
        labels: the kind of labels that the dataset has.
    """

    sample_option: ClassVar[str] = "label"

    known: Tensor
    shares: Tensor

    def __init__(self, labels: Labels):
        super().__init__()
        self.labels = labels
        self.dim = labels.dim
        self.register_buffer("known", torch.zeros(0, self.dim, dtype=torch.uint8))
        self.register_buffer("shares", torch.zeros(0))
        self.register_load_state_dict_pre_hook(self.resize_buffers)

    @staticmethod
    def resize_buffers(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
        """Resize the buffers to those of a checkpoint before it is loaded."""
        for name in ("known", "shares"):
            if f"{prefix}{name}" in state:
                buffer = getattr(module, name)
                setattr(module, name, buffer.new_empty(state[f"{prefix}{name}"].shape))

    def forward(self, batch: Batch) -> Tensor:
        """Vectors (n, dim) of the labels of a batch."""
        return self.labels.vectors(batch["label"]).to(batch["data"].dtype)

    def negative_log_likelihood(self, logits: Tensor, condition: Tensor) -> Tensor:
        """−log P(condition) in nats under logits (n, dim): (n,)."""
        return self.labels.negative_log_likelihood(logits, condition)

    def prepare(self, data: Data) -> None:
        """Store the distinct labels and their frequencies."""
        assert isinstance(data, HasLabelFrequencies)
        distinct, shares = data.label_frequencies()
        self.known = self.labels.vectors(distinct).to(self.known)
        self.shares = shares.to(self.shares)

    def draw(self, n: int, rng: torch.Generator, data: Data | None = None) -> Tensor:
        """Draw labels with their frequencies: (n, dim)."""
        known, shares = self.known, self.shares
        if isinstance(data, HasLabelFrequencies):
            distinct, shares = data.label_frequencies()
            known = self.labels.vectors(distinct)
        chosen = torch.multinomial(shares.cpu(), n, replacement=True, generator=rng)
        return known.cpu()[chosen].to(torch.get_default_dtype())

    def parse(self, text: str) -> Tensor:
        """The vector (dim,) of a class, given by name or number, or of attributes, given by names and commas."""
        return self.labels.parse(text)

    def ignored(self, text: str) -> str:
        """Nothing, since `parse` refuses unknown names."""
        return ""

    def examples(self, n: int) -> tuple[Tensor, list[str]]:
        """At most n distinct labels of the data, in order. If there are more, evenly spaced ones."""
        vectors = self.known.cpu().to(torch.get_default_dtype()).unique(dim=0).flip(0)
        if len(vectors) > n:
            vectors = vectors[torch.linspace(0, len(vectors) - 1, n).long()]
        return vectors, [self.labels.describe(vector) for vector in vectors]


class TextCondition(nn.Module):
    """Captions t as vectors φ(t) of a frozen encoder, which is trained on the training split beforehand.

    φ is shifted and scaled: over the captions of the training split its elements have mean zero and mean square one,
    like those of a latent. Samples are drawn for captions of the training split. Pictures show captions of the test
    split if there is one, which may describe images unlike any in the training split.

    Args:
        captioned: the images with captions.
        encoder: encoder of sentences.
        training: how the encoder is trained.
    """

    sample_option: ClassVar[str] = "text"

    known: Tensor
    unseen: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, captioned: CaptionedImageDataset, encoder: TextEncoder, training: JointEmbedding):
        super().__init__()
        self.captioned = captioned
        self.encoder = encoder.requires_grad_(False)
        self.dim = encoder.dim
        self.joint_embedding = training
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("deviation", torch.ones(()))
        self.register_buffer("known", torch.zeros(NUM_KEPT, encoder.caption_length, dtype=torch.uint8))
        self.register_buffer("unseen", torch.zeros(NUM_EXAMPLES, encoder.caption_length, dtype=torch.uint8))

    def forward(self, batch: Batch) -> Tensor:
        """φ (n, dim) of the captions of a batch."""
        return self.phi(batch["caption"]).to(batch["data"].dtype)

    def phi(self, codes: Tensor) -> Tensor:
        """φ (n, dim) of character codes (n, caption_length), in full precision since sentences differ little."""
        with full_precision(codes):
            return (self.encoder(codes) - self.mean) / self.deviation

    @torch.no_grad()
    def prepare(self, data: Data) -> None:
        """Train the encoder on the data or load it from the cache, and store captions."""
        self.encoder.load_state_dict(self.joint_embedding.weights(self.captioned, data, self.encoder))
        codes = data.first(NUM_KEPT)["caption"]
        self.known.copy_(codes[torch.arange(NUM_KEPT, device=codes.device) % len(codes)])
        unseen = (
            self.captioned.captions(NUM_EXAMPLES, "test")[0]
            if "test" in self.captioned.splits
            else self.known[:NUM_EXAMPLES]
        )
        self.unseen.copy_(unseen)
        raw = self.encoder(self.known)
        self.mean.copy_(raw.mean(0))
        self.deviation.copy_((raw - self.mean).square().mean().sqrt())

    @torch.no_grad()
    def draw(self, n: int, rng: torch.Generator, data: Data | None = None) -> Tensor:
        """φ (n, dim) of n random stored captions, or of the first n captions of `data` if given."""
        if data is None:
            return self.phi(self.known).cpu()[torch.randint(NUM_KEPT, (n,), generator=rng)]
        assert isinstance(data, HasCaptions)
        codes, _ = data.captions(n)
        return torch.cat([self.phi(some).cpu() for some in codes.to(self.known.device).split(NUM_KEPT)])

    @torch.no_grad()
    def parse(self, text: str) -> Tensor:
        """φ (dim,) of a sentence.

        Raises:
            ValueError: the sentence has no character of the alphabet.
        """
        codes = encode(text, self.encoder.caption_length).to(self.known.device)
        return self.phi(codes.unsqueeze(0))[0].cpu()

    def ignored(self, text: str) -> str:
        """The characters that the encoder does not know, and those beyond its length."""
        return ignored_text(text, self.encoder.caption_length)

    @torch.no_grad()
    def examples(self, n: int) -> tuple[Tensor, list[str]]:
        """φ of the first n captions of the test split (of the training split if there is no other), and their texts."""
        codes = self.unseen[:n]
        return self.phi(codes).cpu(), [decode(code) for code in codes]
