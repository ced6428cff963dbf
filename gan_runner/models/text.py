"""A character-level sentence encoder, trained jointly with an image encoder (Reed et al. 2016, arXiv:1605.05395).

The compatibility of an image v and a sentence t is the inner product F(v, t) = ⟨φ(v), φ(t)⟩. Both encoders are trained
so that images are more compatible with sentences of their own class than with those of other classes, and vice versa.
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
from gan_runner.tools.activity import Activity
from gan_runner.tools.cache import bytes_of, key_of, train_or_load
from gan_runner.turn import Batch

FORMAT = "1"
"""Version of the cached encoders. Change it when the same settings train a different encoder."""

KERNEL = 4  # size of a temporal convolution, in characters or activations
POOL = 3


class CharacterConvolution(nn.Module):
    """A temporal convolution of one-hot characters, by table look-up: codes (n, length) → (n, channels, length − 3).

    Code 0 stands for no character.

    Args:
        channels: number of output channels.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.table = nn.Parameter(torch.empty(KERNEL, len(ALPHABET), channels))
        self.bias = nn.Parameter(torch.empty(channels))
        bound = (KERNEL * len(ALPHABET)) ** -0.5  # as nn.Conv1d
        nn.init.uniform_(self.table, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, codes: Tensor) -> Tensor:
        """Convolve characters, given by their codes: (n, channels, length − 3)."""
        nothing = self.table.new_zeros(KERNEL, 1, self.table.shape[2])
        table = torch.cat([nothing, self.table], 1)
        length = codes.shape[1] - KERNEL + 1
        looked_up = [embedding(codes[:, i : i + length].long(), table[i]) for i in range(KERNEL)]
        return (sum(looked_up) + self.bias).transpose(1, 2)


class TextEncoder(nn.Module):
    """Character codes (n, caption_length) → φ (n, dim), by temporal convolutions and a recurrent network.

    Reed et al. 2016, arXiv:1605.05395, Section 4.3: convolutions with ReLU, and max pooling after all but the last;
    then h(s) = tanh(W x(s) + U h(s − 1)), whose mean over all s is mapped to φ. The paper has 201 characters, widths of
    384, 512 and 256, and 1,024 dimensions.

    Args:
        caption_length: characters of a sentence, including padding.
        dim: length of φ.
        widths: channels of the convolutions; the last is also the width of the recurrent network.

    Raises:
        ValueError: the convolutions are longer than the sentence.
    """

    def __init__(self, caption_length: int, dim: int = 64, widths: tuple[int, ...] = (64, 64, 64)):
        super().__init__()
        at_least_one(dim=dim, **{f"widths[{i}]": width for i, width in enumerate(widths)})
        steps = caption_length
        for number in range(len(widths)):
            steps = (steps if number == 0 else steps // POOL) - KERNEL + 1
        if not widths or steps < 1:
            raise ValueError(
                f"{len(widths)} convolutions reduce {caption_length} characters to nothing; choose fewer widths, at "
                "least one, or a larger dataset.caption_length"
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
        """φ (n, dim) of character codes."""
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

    The paper uses a fixed network trained on ImageNet instead.

    Args:
        shape: shape of an image, (channels, side, side).
        dim: length of φ.
        width: channels of the first convolution; each of the next two doubles them.
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
    """The structured loss of a joint embedding, symmetric in images and texts: a scalar.

    For a pair n and another class y it is max(0, 1 + E_{t of class y}[F(vₙ, t)] − F(vₙ, tₙ)), plus the same with
    images and texts exchanged (Reed et al. 2016, arXiv:1605.05395, Eqs. 4 to 6; arXiv:1605.05396, Eq. 2). Classes and
    their members are taken from the batch. The paper takes the maximum over y, which from random weights collapses to
    φ = 0. Here it is the mean over all n and y whose loss is positive.

    Args:
        images: φ(v) (n, dim).
        texts: φ(t) (n, dim); row i describes image i.
        classes: (n, n), whether samples i and j have the same class.
    """
    scores = images @ texts.T  # F(vᵢ, tⱼ)
    members = classes.to(scores.dtype)
    shares = members / members.sum(1, keepdim=True)
    by_class = torch.stack([scores @ shares.T, scores.T @ shares.T])  # of the class of j
    surplus = relu(1 + by_class - scores.diagonal().unsqueeze(1))
    weights = ((surplus > 0) & ~classes) / members.sum(0)  # each class once, however many members it has
    return ((surplus * weights).sum((1, 2)) / weights.sum((1, 2)).clamp(min=1e-12)).sum()


def same_class(label: Tensor) -> Tensor:
    """Whether samples i and j have the same label: labels (n,) or (n, attributes) → (n, n) booleans."""
    labels = label.reshape(len(label), -1)
    return (labels.unsqueeze(0) == labels.unsqueeze(1)).all(2)


def is_retrieved(images: Tensor, texts: Tensor) -> Tensor:
    """Test for each text whether its own image is the most compatible one: (n,) booleans."""
    return (texts @ images.T).argmax(1) == torch.arange(len(texts), device=texts.device)


@dataclass(frozen=True)
class JointEmbedding:
    """Training of a sentence encoder jointly with an image encoder, which is discarded afterwards.

    Args:
        steps: number of training steps; 0 leaves the encoder untrained.
        batch_size: pairs of an image and one of its captions in each step.
        lr: initial learning rate; it falls linearly to zero.
    """

    steps: int = 3000
    batch_size: int = 64
    lr: float = 2e-3

    def __post_init__(self) -> None:
        at_least_one(batch_size=self.batch_size)
        if self.steps < 0:
            raise ValueError(f"steps must be 0 or more, not {self.steps}")

    def weights(self, captioned: CaptionedImageDataset, data: Any, like: TextEncoder) -> dict[str, Tensor]:
        """The weights of an encoder, trained on this data or loaded from the cache. Logs its retrieval accuracy.

        Args:
            captioned: the dataset that the data is a split of.
            data: the data to train on.
            like: an encoder of the same sizes; its weights are not used.
        """
        first = next(data.stream(0, self.batch_size, seed=0))
        sizes = (like.caption_length, like.dim, like.widths)
        recipe = (FORMAT, self, sizes, captioned.shape, captioned.labels, captioned.splits, len(data))
        key = key_of([repr(recipe), *(bytes_of(first[name]) for name in sorted(first))])

        def train() -> dict[str, Any]:
            text, image = self.train_encoders(captioned, data, like)
            split = evaluation_split(captioned.splits)
            held_out = data if split == "train" else captioned.load(first["data"].device, split)
            return {"text": text.state_dict(), "found": retrieval_accuracy(text, image, held_out), "split": split}

        def result(state: dict[str, Any]) -> str:
            return (
                f"the text encoder finds the image of a caption among {NUM_CANDIDATES} of the {state['split']} split "
                f"in {100 * state['found']:.1f} % of cases"
            )

        with processes.present.main_first():  # the others load its result from the cache
            state = train_or_load("text_encoders", key, f"the text encoder on {data.describe()}", train, result)
        return state["text"]

    def train_encoders(
        self, captioned: CaptionedImageDataset, data: Data, like: TextEncoder
    ) -> tuple[TextEncoder, ImageEncoder]:
        """Train both encoders from a fixed seed. The random number generators of the run are not changed."""
        device, dtype = like.output.weight.device, like.output.weight.dtype
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.random.default_generator.manual_seed(0)  # torch.manual_seed would also seed every GPU
            text = TextEncoder(like.caption_length, like.dim, like.widths).to(device, dtype)
            image = ImageEncoder(captioned.shape, like.dim).to(device, dtype)
            adam = torch.optim.Adam([*text.parameters(), *image.parameters()], self.lr)
            schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, max(1, self.steps))
            batches = data.stream(0, self.batch_size, seed=0)
            with Activity("training the text encoder", self.steps, "steps") as activity:
                for activity.done, batch in zip(range(self.steps), batches):
                    classes = classes_of(batch, captioned)
                    loss = joint_embedding_loss(image(batch["data"].to(dtype)), text(batch["caption"]), classes)
                    adam.zero_grad()
                    loss.backward()
                    adam.step()
                    schedule.step()
        return text.eval(), image.eval()


def classes_of(batch: Batch, captioned: CaptionedImageDataset) -> Tensor:
    """Whether samples i and j of a batch have the same class, or the same attributes: (n, n) booleans.

    Without labels each image is a class of its own.
    """
    if captioned.labels is None:
        return torch.eye(len(batch["data"]), dtype=torch.bool, device=batch["data"].device)
    return same_class(batch["label"])


NUM_CANDIDATES = 64
"""Number of images from which the image of a caption is retrieved."""


@torch.no_grad()
def retrieval_accuracy(text: TextEncoder, image: ImageEncoder, data: Data, batches: int = 30) -> float:
    """The fraction of captions whose most compatible image is their own."""
    found = []
    for batch in itertools.islice(data.stream(0, NUM_CANDIDATES, seed=1), batches):
        texts = text(batch["caption"])
        found.append(is_retrieved(image(batch["data"].to(texts.dtype)), texts))
    return torch.cat(found).float().mean().item()
