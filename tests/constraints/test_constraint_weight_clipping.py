"""Weight clipping: every weight lies within the bound."""

import pytest
import torch
from torch import nn

from gan_runner.constraints.weight_clipping import WeightClipping
from gan_runner.models.dcgan import DCGANDiscriminator


@pytest.mark.parametrize("bound", [0.01, 0.5])
def test_every_parameter_is_the_nearest_point_of_the_box(bound):
    torch.manual_seed(0)
    networks = {"critic": DCGANDiscriminator((1, 16, 16), width=4), "other": nn.Linear(3, 3)}
    with torch.no_grad():
        for network in networks.values():
            for parameter in network.parameters():
                parameter.normal_()
    parameters = [p for network in networks.values() for p in network.parameters()]
    before = [p.detach().clone() for p in parameters]
    buffers = [b.clone() for b in networks["critic"].buffers()]
    WeightClipping(networks, bound)()
    for parameter, old in zip(parameters, before, strict=True):
        assert parameter.abs().max() <= bound
        inside = old.abs() <= bound
        assert torch.equal(parameter[inside], old[inside])
        assert torch.equal(parameter[~inside], bound * old[~inside].sign())
    assert all(torch.equal(a, b) for a, b in zip(networks["critic"].buffers(), buffers, strict=True))


def test_networks_that_moved_after_building_are_still_clipped():
    network = nn.Linear(2, 2)
    clip = WeightClipping({"critic": network}, 0.01)
    network.double()
    clip()
    assert network.weight.abs().max() <= 0.01


@pytest.mark.parametrize("bound", [0.0, -0.01])
def test_a_bound_that_is_not_positive_is_refused(bound):
    with pytest.raises(ValueError, match="must be positive"):
        WeightClipping({"critic": nn.Linear(1, 1)}, bound)
