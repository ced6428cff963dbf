"""Any of torchvision's networks for classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gan_runner.errors import DataError
from gan_runner.extractors.base import Features, LoadedExtractor, Pretrained, in_colour, read_weights

if TYPE_CHECKING:
    from gan_runner.datasets.base import Dataset


@dataclass(frozen=True)
class Torchvision(Pretrained):
    """A network of torchvision; its features are what its last linear layer reads.

    Args:
        backbone: as `torchvision.models.get_model` names it.
        weights: a file of its weights.
        download: fetch torchvision's default weights where no file is named.

    Raises:
        ValueError: torchvision has no such network for classification.
    """

    backbone: str = "resnet18"

    def __post_init__(self) -> None:
        from torchvision import models

        from gan_runner.config.suggestions import did_you_mean

        known = models.list_models(module=models)
        if self.backbone not in known:
            raise ValueError(f"torchvision classifies with no {self.backbone}{did_you_mean(self.backbone, known)}")

    @property
    def whose(self) -> str:
        """The backbone's."""
        return f"torchvision's {self.backbone}"

    @property
    def name(self) -> str:
        """The backbone's."""
        return self.backbone

    @property
    def preset(self) -> Any:
        """How images were brought to size and scale when the default weights were trained."""
        from torchvision.models import get_model_weights

        return get_model_weights(self.backbone).DEFAULT.transforms()

    @property
    def resize(self) -> str:
        """As the default weights were trained."""
        preset = self.preset
        return f"{preset.interpolation.value} to {preset.resize_size[0]}, cropped to {preset.crop_size[0]}"

    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Load the weights.

        Raises:
            DataError: they are not there, or another network's, or the network has no linear layer.
        """
        from torchvision.models import get_model

        state, identity = self.read()
        with torch.random.fork_rng(devices=[]):  # weights are drawn before they are read
            network = get_model(self.backbone)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:100]
            raise DataError(f"extractor.weights={self.weights} are not those of {self.backbone} ({reason})") from error
        network.to(device).eval()
        if hasattr(network, "transform_input"):
            network.transform_input = True  # as torchvision sets it with its own weights
        read: dict[str, Tensor] = {}
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise DataError(f"{self.backbone} has no linear layer whose input its features could be; choose another")
        linear[-1].register_forward_pre_hook(lambda _, inputs: read.update(features=inputs[0]))
        preset = self.preset

        @torch.no_grad()
        def extract(images: Tensor) -> Features:
            logits = network(preset((in_colour(images) + 1) / 2))
            return Features(read["features"].flatten(1), logits)

        return LoadedExtractor(extract, f"{self.backbone} {identity}")

    def read(self) -> tuple[dict[str, Any], str]:
        """The weights, and what identifies them."""
        from torchvision.models import get_model_weights

        file = self.find()
        if file is not None:
            return read_weights(file, self.whose)
        chosen = get_model_weights(self.backbone).DEFAULT
        try:
            return dict(chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)), str(chosen)
        except (OSError, RuntimeError) as error:
            raise DataError(f"the weights of {self.whose} cannot be had ({error}); name a file of them") from error
