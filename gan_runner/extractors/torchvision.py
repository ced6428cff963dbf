"""Classification networks from torchvision."""

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
    """A classification network from torchvision; its features are the input of its last linear layer.

    Args:
        backbone: name for `torchvision.models.get_model`.
        weights: file of the weights.
        download: download torchvision's default weights if no file is given.

    Raises:
        ValueError: torchvision has no classification network of this name.
    """

    backbone: str = "resnet18"

    def __post_init__(self) -> None:
        from torchvision import models

        from gan_runner.config.suggestions import did_you_mean

        known = models.list_models(module=models)
        if self.backbone not in known:
            raise ValueError(
                f"torchvision has no classification network {self.backbone}{did_you_mean(self.backbone, known)}"
            )

    @property
    def description(self) -> str:
        """A description of the network for messages."""
        return f"torchvision's {self.backbone}"

    @property
    def name(self) -> str:
        """The name of the backbone."""
        return self.backbone

    @property
    def preset(self) -> Any:
        """The preprocessing that the default weights were trained with."""
        from torchvision.models import get_model_weights

        return get_model_weights(self.backbone).DEFAULT.transforms()

    @property
    def resize(self) -> str:
        """How images are resized: as for the default weights."""
        preset = self.preset
        return f"{preset.interpolation.value} to {preset.resize_size[0]}, cropped to {preset.crop_size[0]}"

    def open(self, dataset: Dataset, device: torch.device) -> LoadedExtractor:
        """Load the network.

        Raises:
            DataError: the weights are missing or belong to another network, or the network has no linear layer.
        """
        from torchvision.models import get_model

        state, identity = self.read()
        with torch.random.fork_rng(devices=[]):  # the constructor draws initial weights
            network = get_model(self.backbone)
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:100]
            raise DataError(
                f"extractor.weights={self.weights} does not fit {self.backbone} ({reason}); choose another "
                "file or backbone"
            ) from error
        network.to(device).eval()
        if hasattr(network, "transform_input"):
            network.transform_input = True  # as torchvision does for its own weights
        captured: dict[str, Tensor] = {}
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise DataError(f"{self.backbone} has no linear layer to take features from; choose another backbone")
        linear[-1].register_forward_pre_hook(lambda _, inputs: captured.update(features=inputs[0]))
        preset = self.preset

        @torch.no_grad()
        def extract(images: Tensor) -> Features:
            logits = network(preset((in_colour(images) + 1) / 2))
            return Features(captured["features"].flatten(1), logits)

        return LoadedExtractor(extract, f"{self.backbone} {identity}")

    def read(self) -> tuple[dict[str, Any], str]:
        """Return the state dict, and a string that identifies the weights."""
        from torchvision.models import get_model_weights

        file = self.find()
        if file is not None:
            return read_weights(file, self.description)
        chosen = get_model_weights(self.backbone).DEFAULT
        try:
            return dict(chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)), str(chosen)
        except (OSError, RuntimeError) as error:
            raise DataError(
                f"the weights of {self.description} cannot be downloaded ({error}); set extractor.weights=FILE"
            ) from error
