"""Classifiers that are trained on the labels of the dataset itself, so they need no download."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from gan_runner.datasets.base import evaluation_split
from gan_runner.datasets.images import ImageDataset
from gan_runner.datasets.labels import Labels
from gan_runner.extractors.base import Extractor, Features, LoadedExtractor
from gan_runner.tools.activity import Activity
from gan_runner.tools.cache import bytes_of, key_of, train_or_load

if TYPE_CHECKING:
    from gan_runner.datasets.base import Data, Dataset
    from gan_runner.system import System

FORMAT = "4"
"""Version of the cached classifiers; change it if the same description would train another network."""


class Trunk(nn.Module):
    """A classifier: images (n, c, h, w) → features (n, d) → logits (n, classes or attributes)."""

    def __init__(self, body: nn.Module, head: nn.Linear):
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.body(x))


@dataclass(frozen=True)
class TrainedClassifier(Extractor):
    """A classifier that is trained once on the labels of the dataset, then cached on disk.

    Args:
        steps: number of training steps.
        batch_size: batch size.
        lr: initial learning rate.
    """

    steps: int = 1500
    batch_size: int = 128
    lr: float = 1e-3

    title: ClassVar[str]

    @property
    def name(self) -> str:
        """The name of the network in names of metrics."""
        return self.title

    @property
    def resize(self) -> str:
        """None: the network is built for the image size of the dataset."""
        return "none"

    def check(self, system: System) -> None:
        """Raise ValueError unless the dataset is a finite set of images with at least two classes or attributes."""
        super().check(system)
        if not isinstance(system.dataset, ImageDataset):
            raise ValueError(
                f"extractor={self.title} needs a finite set of labelled images, and this data is generated without "
                "end; choose extractor=torchvision, or leave it out"
            )
        if system.dataset.labels is None or system.dataset.labels.dim < 2:
            raise ValueError(
                f"extractor={self.title} needs at least two classes, and this dataset has fewer; choose "
                "extractor=torchvision, or labelled data"
            )

    @abstractmethod
    def network(self, shape: tuple[int, ...], classes: int) -> Trunk:
        """Build the network for images of this shape (c, h, w)."""

    @abstractmethod
    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Build the optimizer and the learning rate schedule."""

    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Load the cached network, or train it and report its accuracy."""
        data: Any = dataset.load(device)
        labels = dataset.labels
        assert labels is not None
        first = next(data.stream(0, self.batch_size, seed=0))
        excerpts = (data.real(500), first["data"], first["label"])
        recipe = (FORMAT, self, dataset.shape, labels, dataset.splits, len(data))
        key = key_of([repr(recipe), *map(bytes_of, excerpts)])

        def train() -> dict[str, Any]:
            trained = self.train(self.new(dataset.shape, labels.dim, device), data, labels)
            split = evaluation_split(dataset.splits)
            held_out = data if split == "train" else dataset.load(device, split)
            return {"network": trained.state_dict(), "accuracy": accuracy(trained, held_out, labels), "split": split}

        def result(state: dict[str, Any]) -> str:
            return (
                f"the {self.title} for metrics is right on {100 * state['accuracy']:.2f} % of the "
                f"{state['split']} images"
            )

        state = train_or_load("classifiers", key, f"the {self.title} on {data.describe()}", train, result)
        network = self.new(dataset.shape, labels.dim, device)
        network.load_state_dict(state["network"])
        network.eval()

        @torch.no_grad()
        def extract(images: Tensor) -> Features:
            features = network.body(images)
            return Features(features, network.head(features))

        return LoadedExtractor(extract, key_of(map(bytes_of, network.state_dict().values())))

    def new(self, shape: tuple[int, ...], classes: int, device: torch.device) -> Trunk:
        """Initialise the network with a fixed seed, without changing the run's random numbers."""
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(0)  # torch.manual_seed would also seed every GPU
            return self.network(shape, classes).to(device)

    def train(self, network: Trunk, data: Data, labels: Labels) -> Trunk:
        """Train the network by cross-entropy, summed over groups of attributes if there are any."""
        optimizer, schedule = self.optimizer(network)
        batches = data.stream(0, self.batch_size, seed=0)
        with Activity(f"training the {self.title}", self.steps, "steps") as activity:
            for activity.done, batch in zip(range(self.steps), batches):
                loss = labels.negative_log_likelihood(network(batch["data"]), labels.vectors(batch["label"])).mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, data: Any, labels: Labels) -> float:
    """Return the accuracy on all images; for attributes, the mean accuracy over predictions."""
    correct = [
        labels.correct(network(batch["data"]), labels.vectors(batch["label"])).double() for batch in data.epoch()
    ]
    return torch.cat(correct).mean().item()


@dataclass(frozen=True)
class Classifier(TrainedClassifier):
    """Two 3×3 convolutions with stride 2 and a hidden layer, whose activations are the features.

    Args:
        width: channels of the first convolution.
        features: units of the hidden layer.
    """

    width: int = 32
    features: int = 128

    title: ClassVar[str] = "classifier"

    def network(self, shape: tuple[int, ...], classes: int) -> Trunk:
        """Build the network; images must have at least 4 px."""
        channels, side, _ = shape
        reduced = -(-side // 4)
        body = nn.Sequential(
            nn.Conv2d(channels, self.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * self.width * reduced**2, self.features),
            nn.ReLU(),
        )
        return Trunk(body, nn.Linear(self.features, classes))

    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Return Adam with a learning rate that decays linearly to zero."""
        adam = torch.optim.Adam(network.parameters(), self.lr)
        return adam, torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, self.steps)


@dataclass(frozen=True)
class SoftmaxRegression(TrainedClassifier):
    """Softmax regression: a linear layer on pixels in [0, 1] (as in the code of Kodali et al. 2017, arXiv:1705.07215).

    The features are the pixels.
    """

    steps: int = 1000
    batch_size: int = 100
    lr: float = 0.5

    title: ClassVar[str] = "softmax_regression"

    def network(self, shape: tuple[int, ...], classes: int) -> Trunk:
        """Build the network with zero weights and biases."""
        head = nn.Linear(torch.Size(shape).numel(), classes)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return Trunk(nn.Sequential(ToUnit(), nn.Flatten()), head)

    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Return SGD with a constant learning rate."""
        descent = torch.optim.SGD(network.parameters(), self.lr)
        return descent, torch.optim.lr_scheduler.ConstantLR(descent, 1.0)


class ToUnit(nn.Module):
    """A layer that maps [−1, 1] to [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """Map values to [0, 1]; the shape is unchanged."""
        return (x + 1) / 2
