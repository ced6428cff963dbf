"""torchvision's networks: their own features, of images as they were trained on."""

import pytest
import torch
from torchvision.models import ResNet18_Weights, resnet18

from gan_runner.datasets.digits import Digits
from gan_runner.errors import DataError
from gan_runner.extractors.torchvision import Torchvision

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return resnet18().eval()


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(network.state_dict(), path)
    return str(path)


@pytest.mark.parametrize("channels", [1, 3])
def test_features_are_what_its_average_pool_gives_and_logits_its_answer(network, weights, channels):
    images = torch.rand(2, channels, 16, 16) * 2 - 1
    pooled = []
    handle = network.avgpool.register_forward_hook(lambda *call: pooled.append(call[2].flatten(1)))
    with torch.no_grad():
        preset = ResNet18_Weights.DEFAULT.transforms()
        logits = network(preset(((images + 1) / 2).expand(-1, 3, -1, -1)))
    handle.remove()
    seen = Torchvision(weights=weights).open(Digits(), CPU).extract(images)
    assert torch.equal(seen.features, pooled[0])
    assert torch.equal(seen.logits, logits)
    assert seen.features.shape == (2, 512)


def test_opening_it_draws_nothing(weights):
    before = torch.get_rng_state()
    Torchvision(weights=weights).open(Digits(), CPU)
    assert torch.equal(torch.get_rng_state(), before)


def test_its_figures_say_how_images_are_resized():
    recipe = Torchvision(weights="w")
    assert (recipe.name, recipe.resize) == ("resnet18", "bilinear to 256, cropped to 224")


def test_a_typo_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"has no classification network resnet81; did you mean resnet18\?"):
        Torchvision(backbone="resnet81")
    with pytest.raises(ValueError, match="has no classification network fasterrcnn_resnet50_fpn"):
        Torchvision(backbone="fasterrcnn_resnet50_fpn")


def test_another_networks_weights_are_refused(weights):
    with pytest.raises(DataError, match="does not fit resnet34") as caught:
        Torchvision(backbone="resnet34", weights=weights).open(Digits(), CPU)
    assert "\n" not in str(caught.value)


def test_a_network_without_a_linear_layer_is_refused(tmp_path):
    from torchvision.models import squeezenet1_1

    path = tmp_path / "squeezenet.pth"
    torch.save(squeezenet1_1().state_dict(), path)
    with pytest.raises(DataError, match="squeezenet1_1 has no linear layer"):
        Torchvision(backbone="squeezenet1_1", weights=str(path)).open(Digits(), CPU)
