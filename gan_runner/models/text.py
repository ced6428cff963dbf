"""Sentences as vectors: a character-level encoder, trained beside one of images (Reed et al. 2016, arXiv:1605.05395).

φ(t) of a sentence and φ(v) of an image are compatible by their inner product F(v, t). Both are trained so that an image
is more compatible with sentences of its own class than with those of any other, and a sentence likewise.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, max_pool1d, relu

from gan_runner.datasets.base import Data, evaluation_split
from gan_runner.datasets.captions import ALPHABET, CaptionedImageDataset
from gan_runner.distributed import processes
from gan_runner.models.sizes import at_least_one
from gan_runner.tools.cache import key_of, trained_once
from gan_runner.turn import Batch

FORMAT = "1"
"""Of what is kept: another one where the same recipe trains another encoder."""

KERNEL = 4  # characters, or activations, that a temporal convolution sees
POOL = 3


class CharacterConvolution(nn.Module):
    """A convolution over time of one-hot characters: codes (n, length) → (n, channels, length − 3); 0 is no character.

    It looks up what it would multiply by one.

    Args:
        channels: of the result.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.table = nn.Parameter(torch.empty(KERNEL, len(ALPHABET), channels))
        self.bias = nn.Parameter(torch.empty(channels))
        bound = (KERNEL * len(ALPHABET)) ** -0.5  # as nn.Conv1d
        nn.init.uniform_(self.table, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, codes: Tensor) -> Tensor:
        """What the convolution makes of them."""
        nothing = self.table.new_zeros(KERNEL, 1, self.table.shape[2])
        table = torch.cat([nothing, self.table], 1)
        length = codes.shape[1] - KERNEL + 1
        looked_up = [embedding(codes[:, i : i + length].long(), table[i]) for i in range(KERNEL)]
        return (sum(looked_up) + self.bias).transpose(1, 2)


class TextEncoder(nn.Module):
    """Character codes (n, caption_length) → φ (n, dim), by convolutions over time and a recurrent net over the rest.

    As Reed et al. 2016, arXiv:1605.05395, Section 4.3: max pooling behind every convolution but the last, ReLU, then
    h(s) = tanh(W x(s) + U h(s − 1)), whose mean over all s is mapped to φ. Published with 201 characters, widths of
    384, 512 and 256, and 1,024 dimensions.

    Args:
        caption_length: characters of a sentence, with what fills it up.
        dim: of φ.
        widths: channels of the convolutions; the last is also that of the recurrent net.

    Raises:
        ValueError: nothing is left of so short a sentence.
    """

    def __init__(self, caption_length: int, dim: int = 64, widths: tuple[int, ...] = (64, 64, 64)):
        super().__init__()
        at_least_one(dim=dim, **{f"widths[{i}]": width for i, width in enumerate(widths)})
        steps = caption_length
        for number in range(len(widths)):
            steps = (steps if number == 0 else steps // POOL) - KERNEL + 1
        if not widths or steps < 1:
            raise ValueError(
                f"{len(widths)} convolutions leave nothing of {caption_length} characters; choose another number of "
                "widths, or a larger dataset.caption_length"
            )
        self.caption_length = caption_length
        self.dim = dim
        self.widths = tuple(widths)
        self.first = CharacterConvolution(widths[0])
        self.rest = nn.ModuleList(nn.Conv1d(before, after, KERNEL) for before, after in itertools.pairwise(widths))
        self.inputs = nn.Linear(widths[-1], widths[-1])
        self.recurrent = nn.Linear(widths[-1], widths[-1], bias=False)
        self.output = nn.Linear(widths[-1], dim)

    def forward(self, codes: Tensor) -> Tensor:
        """φ (n, dim)."""
        x = relu(self.first(codes))
        for convolution in self.rest:
            x = relu(convolution(max_pool1d(x, POOL)))
        steps = self.inputs(x.transpose(1, 2)).unbind(1)
        state = steps[0].tanh()
        total = state
        for step in steps[1:]:
            state = (step + self.recurrent(state)).tanh()
            total = total + state
        return self.output(total / len(steps))


class ImageEncoder(nn.Sequential):
    """Images (n, channels, side, side) → φ (n, dim), by strided convolutions down to a side of at most 4.

    In the paper a network that was trained on ImageNet stands here, and is left as it is.

    Args:
        shape: of an image, (channels, side, side).
        dim: of φ.
        width: channels of the first convolution, doubled by each of the next two.
    """

    def __init__(self, shape: tuple[int, ...], dim: int, width: int = 16):
        channels, side, _ = shape
        layers: list[nn.Module] = []
        for number in itertools.count():
            after = width * 2 ** min(number, 2)
            layers += [nn.Conv2d(channels, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            channels, side = after, -(-side // 2)
            if side <= 4:
                break
        super().__init__(*layers, nn.Flatten(), nn.Linear(channels * side**2, dim))


def joint_embedding_loss(images: Tensor, texts: Tensor, classes: Tensor) -> Tensor:
    """The structured loss of a joint embedding, symmetric in images and texts, a scalar.

    Of a pair n and another class y it is max(0, 1 + E_{t of class y}[F(vₙ, t)] − F(vₙ, tₙ)), and the same with the
    roles of images and texts exchanged (Reed et al. 2016, arXiv:1605.05395, Eqs. 4 to 6; arXiv:1605.05396, Eq. 2).
    Classes and their members are those of the batch. There the largest over y counts, which from random weights leads
    to φ = 0, where all are the same; here the mean of those that are not zero, over all n and y.

    Args:
        images: φ(v) (n, dim).
        texts: φ(t) (n, dim), row i being about image i.
        classes: (n, n), whether row i and column j are of one class.
    """
    scores = images @ texts.T  # F(vᵢ, tⱼ)
    members = classes.to(scores.dtype)
    shares = members / members.sum(1, keepdim=True)
    by_class = torch.stack([scores @ shares.T, scores.T @ shares.T])  # of the class of j
    surplus = relu(1 + by_class - scores.diagonal().unsqueeze(1))
    weights = ((surplus > 0) & ~classes) / members.sum(0)  # each class once, however many members it has
    return ((surplus * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1e-12)).sum()


def same_class(label: Tensor) -> Tensor:
    """Whether samples i and j have one label: (n, n) booleans of labels (n,) or (n, attributes)."""
    labels = label.reshape(len(label), -1)
    return (labels.unsqueeze(0) == labels.unsqueeze(1)).all(2)


def retrieval(images: Tensor, texts: Tensor) -> Tensor:
    """For each text, whether its own image is the most compatible one: (n,) booleans."""
    return (texts @ images.T).argmax(1) == torch.arange(len(texts), device=texts.device)


@dataclass(frozen=True)
class JointEmbedding:
    """How an encoder of sentences is trained: beside one of images, which is then of no more use.

    Args:
        steps: of training; 0 leaves it untrained.
        batch_size: pairs of an image and one of its captions a step.
        lr: learning rate at the start; it falls linearly to zero.
    """

    steps: int = 3000
    batch_size: int = 64
    lr: float = 2e-3

    def __post_init__(self) -> None:
        at_least_one(batch_size=self.batch_size)
        if self.steps < 0:
            raise ValueError(f"steps must be 0 or more, not {self.steps}")

    def weights(self, captioned: CaptionedImageDataset, data: Any, like: TextEncoder) -> dict[str, Tensor]:
        """The weights of an encoder like that one, trained on this data once and then kept; says how well it does.

        Args:
            captioned: what the data is a split of.
            data: to train on.
            like: that one; its own weights play no part.
        """
        first = next(data.stream(0, self.batch_size, seed=0))
        recipe = [FORMAT, repr(self), repr((like.caption_length, like.dim, like.widths)), str(len(data))]
        key = key_of([*recipe, *(first[name].cpu().numpy().tobytes() for name in sorted(first))])

        def train() -> dict[str, Any]:
            text, image = self.trained(captioned, data, like)
            split = evaluation_split(captioned.splits)
            held_out = data if split == "train" else captioned.load(first["data"].device, split)
            return {"text": text.state_dict(), "found": found_share(text, image, held_out), "split": split}

        def result(state: dict[str, Any]) -> str:
            return (
                f"the text encoder finds the image of a caption among {AMONG} of the {state['split']} split "
                f"in {100 * state['found']:.1f} % of cases"
            )

        with processes.present.main_first():  # the others find what it has kept
            state = trained_once("text_encoders", key, f"the text encoder on {data.describe()}", train, result)
        return state["text"]

    def trained(
        self, captioned: CaptionedImageDataset, data: Data, like: TextEncoder
    ) -> tuple[TextEncoder, ImageEncoder]:
        """Both encoders, the same every time, without a trace in the run's random numbers."""
        device, dtype = like.output.weight.device, like.output.weight.dtype
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.random.default_generator.manual_seed(0)  # torch.manual_seed would also seed every GPU
            text = TextEncoder(like.caption_length, like.dim, like.widths).to(device, dtype)
            image = ImageEncoder(captioned.shape, like.dim).to(device, dtype)
            adam = torch.optim.Adam([*text.parameters(), *image.parameters()], self.lr)
            schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, max(1, self.steps))
            for _, batch in zip(range(self.steps), data.stream(0, self.batch_size, seed=0)):
                classes = classes_of(batch, captioned)
                loss = joint_embedding_loss(image(batch["data"].to(dtype)), text(batch["caption"]), classes)
                adam.zero_grad()
                loss.backward()
                adam.step()
                schedule.step()
        return text.eval(), image.eval()


def classes_of(batch: Batch, captioned: CaptionedImageDataset) -> Tensor:
    """Which samples of a batch are of one class: (n, n) booleans.

    These are classes, or attributes that are all the same; where there are neither, each image is its own.
    """
    if captioned.labels is None:
        return torch.eye(len(batch["data"]), dtype=torch.bool, device=batch["data"].device)
    return same_class(batch["label"])


AMONG = 64
"""Images among which a caption's own is to be found."""


@torch.no_grad()
def found_share(text: TextEncoder, image: ImageEncoder, data: Data, batches: int = 30) -> float:
    """In what share of cases the image that is most compatible with a caption is its own."""
    found = []
    for batch in itertools.islice(data.stream(0, AMONG, seed=1), batches):
        texts = text(batch["caption"])
        found.append(retrieval(image(batch["data"].to(texts.dtype)), texts))
    return torch.cat(found).float().mean().item()
