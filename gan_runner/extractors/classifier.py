"""Classifiers that are trained on the data's own labels: offline, and of the data at hand."""

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
from gan_runner.tools.cache import key_of, trained_once

if TYPE_CHECKING:
    from gan_runner.datasets.base import Data, Dataset
    from gan_runner.system import System

FORMAT = "3"
"""Of what is kept: another one where the same recipe trains another network."""


class Trunk(nn.Module):
    """Images (n, c, h, w) → logits (n, classes), or of each attribute, by way of features (n, d)."""

    def __init__(self, body: nn.Module, head: nn.Linear):
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        """The logits."""
        return self.head(self.body(x))


@dataclass(frozen=True)
class TrainedClassifier(Extractor):
    """A network that is trained on the labels of the dataset whose images it will look at, once, and then kept.

    Args:
        steps: of training.
        batch_size: images a step.
        lr: learning rate at the start.
    """

    steps: int = 1500
    batch_size: int = 128
    lr: float = 1e-3

    title: ClassVar[str]

    @property
    def name(self) -> str:
        """As it stands in figures."""
        return self.title

    @property
    def resize(self) -> str:
        """It is made for the data's own size."""
        return "none"

    def check(self, system: System) -> None:
        """The data must be images, of which there is an end, with labels that tell them apart."""
        super().check(system)
        if not isinstance(system.dataset, ImageDataset):
            raise ValueError(
                f"extractor={self.title} is trained on a set of labelled images, and this data is drawn afresh; choose "
                "extractor=torchvision, or leave it out"
            )
        if system.dataset.labels is None or system.dataset.labels.dim < 2:
            raise ValueError(
                f"extractor={self.title} cannot be trained on this dataset, whose labels tell no classes apart; choose "
                "extractor=torchvision, or labelled data"
            )

    @abstractmethod
    def network(self, shape: tuple[int, ...], classes: int) -> Trunk:
        """The network for images of this shape (c, h, w)."""

    @abstractmethod
    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Its optimizer, and the schedule of its learning rate."""

    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Train it, unless it is kept from before; say how well it does."""
        data: Any = dataset.load(device)
        labels = dataset.labels
        assert labels is not None
        first = next(data.stream(0, self.batch_size, seed=0))
        sights = (data.real(500), first["data"], first["label"])
        key = key_of([FORMAT, repr(self), str(len(data)), *(sight.cpu().numpy().tobytes() for sight in sights)])

        def train() -> dict[str, Any]:
            trained = self.train(self.new(dataset.shape, labels.dim, device), data, labels)
            split = evaluation_split(dataset.splits)
            held_out = data if split == "train" else dataset.load(device, split)
            return {"network": trained.state_dict(), "accuracy": accuracy(trained, held_out, labels), "split": split}

        def result(state: dict[str, Any]) -> str:
            return (
                f"the {self.title} that measures is right about {100 * state['accuracy']:.2f} % of the "
                f"{state['split']} images"
            )

        state = trained_once("classifiers", key, f"the {self.title} on {data.describe()}", train, result)
        network = self.new(dataset.shape, labels.dim, device)
        network.load_state_dict(state["network"])
        network.eval()

        @torch.no_grad()
        def extract(images: Tensor) -> Features:
            features = network.body(images)
            return Features(features, network.head(features))

        return LoadedExtractor(extract, key)

    def new(self, shape: tuple[int, ...], classes: int, device: torch.device) -> Trunk:
        """Freshly initialised, the same every time, without a trace in the run's random numbers."""
        with torch.random.fork_rng(devices=[]):
            torch.random.default_generator.manual_seed(0)  # torch.manual_seed would also seed every GPU
            return self.network(shape, classes).to(device)

    def train(self, network: Trunk, data: Data, labels: Labels) -> Trunk:
        """Descend the cross-entropy, of attributes that of each question."""
        optimizer, schedule = self.optimizer(network)
        for _, batch in zip(range(self.steps), data.stream(0, self.batch_size, seed=0)):
            loss = labels.negative_log_likelihood(network(batch["data"]), labels.vectors(batch["label"])).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return network.eval()


@torch.no_grad()
def accuracy(network: nn.Module, data: Any, labels: Labels) -> float:
    """The share of all images of which it is right; of attributes, the share of right answers."""
    hits = [labels.correct(network(batch["data"]), labels.vectors(batch["label"])).double() for batch in data.epoch()]
    return torch.cat(hits).mean().item()


@dataclass(frozen=True)
class Classifier(TrainedClassifier):
    """Two 3×3 convolutions of stride two and a hidden layer, whose values are the features.

    Args:
        width: channels of the first convolution.
        features: units of the hidden layer.
    """

    width: int = 32
    features: int = 128

    title: ClassVar[str] = "classifier"

    def network(self, shape: tuple[int, ...], classes: int) -> Trunk:
        """For any size from 4 px on."""
        channels, side, _ = shape
        left = -(-side // 4)
        body = nn.Sequential(
            nn.Conv2d(channels, self.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(self.width, 2 * self.width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * self.width * left**2, self.features),
            nn.ReLU(),
        )
        return Trunk(body, nn.Linear(self.features, classes))

    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Adam, its rate falling to zero."""
        adam = torch.optim.Adam(network.parameters(), self.lr)
        return adam, torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.0, self.steps)


@dataclass(frozen=True)
class SoftmaxRegression(TrainedClassifier):
    """One linear layer on pixels in [0, 1] (as in the protocol of Kodali et al. 2017, arXiv:1705.07215, their code).

    Its features are the pixels.
    """

    steps: int = 1000
    batch_size: int = 100
    lr: float = 0.5

    title: ClassVar[str] = "softmax_regression"

    def network(self, shape: tuple[int, ...], classes: int) -> Trunk:
        """Weights and biases start at zero."""
        head = nn.Linear(torch.Size(shape).numel(), classes)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return Trunk(nn.Sequential(ToUnit(), nn.Flatten()), head)

    def optimizer(self, network: nn.Module) -> tuple[torch.optim.Optimizer, Any]:
        """Plain gradient descent."""
        descent = torch.optim.SGD(network.parameters(), self.lr)
        return descent, torch.optim.lr_scheduler.ConstantLR(descent, 1.0)


class ToUnit(nn.Module):
    """[−1, 1] → [0, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape."""
        return (x + 1) / 2
