"""Bits a dimension: of densities that are known."""

import math
from types import SimpleNamespace

import pytest
import torch
from conftest import TINY
from methods import Drawn

from gan_runner.datasets.images import as_bytes, bits, dequantised, normalised, quantised
from gan_runner.metrics.evaluator import Evaluator
from gan_runner.metrics.likelihood import bits_per_dimension, needs_density
from gan_runner.models.latents import Sphere
from gan_runner.requirements import check_requirements
from gan_runner.sampling.inference import draw_codes, encode

FLOW = ["model=real_nvp", "loss=maximum_likelihood", *(o for o in TINY["real_nvp"] if "discriminator" not in o)]


def measured(system, **options):
    return Evaluator(system, {"bits": lambda results: bits_per_dimension(results, **options)}, 10, 0).measure()[
        "bits_per_dimension"
    ]


def test_bins_of_all_bytes_fill_the_interval_and_do_not_meet():
    bytes_ = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    low, high = (dequantised(normalised(bytes_), torch.full((1, 1, 16, 16), u)).flatten() for u in (0.0, 1.0))
    torch.testing.assert_close(low[1:], high[:-1])
    assert (low[0].item(), high[-1].item()) == pytest.approx((-1, 1))
    assert torch.equal((128 * (low + high) / 2 + 128).long(), torch.arange(256))


def test_every_point_of_a_bin_comes_back_as_its_byte():
    bytes_ = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    for place in (0.001, 0.3, 0.5, 0.7, 0.999):
        points = dequantised(normalised(bytes_), torch.full((1, 1, 16, 16), place))
        assert torch.equal(as_bytes(quantised(points)), bytes_)
    beyond = torch.tensor([-1.2, -1.0, 1.0, 1.2])
    assert as_bytes(quantised(beyond)).tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
    "options", [FLOW, ["model=gaussian", "model.latent.dim=64", "loss=maximum_likelihood"]], ids=["flow", "gaussian"]
)
def test_samples_of_a_density_of_images_are_bytes(make_system, options):
    system = make_system("dataset=digits", "dataset.image_size=8", *options)
    images = system.sample(system.noise(20, 0))
    assert torch.equal(images, normalised(as_bytes(images)))


def test_images_come_back_from_any_code_of_a_flow(make_system):
    system = make_system("dataset=digits", "dataset.image_size=8", *FLOW)
    x = normalised(torch.randint(256, (50, 1, 8, 8), dtype=torch.uint8))
    system.game.prepare(system.networks, Drawn({"data": x}), 50)
    for codes in (encode(system, x), draw_codes(system, x, 0)):
        assert (as_bytes(system.sample(codes)) == as_bytes(x)).double().mean() > 0.999  # up to rounding


def test_uniform_density_on_images_has_eight_bits():
    assert bits(torch.tensor(math.log(2)), of_bytes=True).item() == pytest.approx(8)


def test_density_of_one_on_the_unit_of_points_has_none():
    assert bits(torch.tensor(0.0), of_bytes=False).item() == 0


def test_identity_on_gaussian_data_has_their_entropy(make_system):
    """A flow starts at the identity: on N(0, I) it costs ½ log₂ 2πe a dimension."""
    system = make_system(*FLOW, "dataset=gaussian", "dataset.means=[[0.0,0.0]]")
    assert measured(system) == pytest.approx(0.5 * math.log2(2 * math.pi * math.e), abs=0.02)


def test_identity_on_other_data_costs_the_cross_entropy(make_system):
    system = make_system(*FLOW, "dataset=gaussian", "dataset.means=[[3.0,0.0]]", "dataset.std=0.5")
    expected = (math.log(2 * math.pi) + 0.25 + 9 / 2) / 2 / math.log(2)
    assert measured(system) == pytest.approx(expected, rel=0.01)


class Cells(torch.nn.Module):
    """The density of images whose pixels are independent, each with the histogram of bytes that it was given."""

    def __init__(self, counts):
        super().__init__()
        self.log_chances = (counts / counts.sum()).log()

    def log_prob(self, x):
        return (self.log_chances[((x + 1) * 128).long().clamp(0, 255)] + math.log(128)).flatten(1).sum(1)


def test_of_images_it_is_what_their_bytes_cost(make_system):
    """For a density that is constant in each bin it is the entropy of the histogram, whatever the noise."""
    system = make_system(*FLOW, "dataset.image_size=8", "dataset.held_out=100")
    images = system.dataset.load(system.device, "validation").real(100)
    counts = torch.bincount(((images + 1) * 127.5).round().long().flatten(), minlength=256).double()
    system.networks["generator"] = Cells(counts)
    chances = counts[counts > 0] / counts.sum()
    assert measured(system, draws=2) == pytest.approx(-(chances * chances.log2()).sum().item(), rel=1e-5)


def test_noise_is_that_of_the_seed_and_is_averaged_over(make_system):
    system = make_system(*FLOW, "dataset.image_size=8", "dataset.held_out=50")
    torch.manual_seed(1)
    first = measured(system, seed=3)
    torch.manual_seed(2)
    assert measured(system, seed=3) == first
    both = [first, measured(system, seed=4)]
    assert both[0] != both[1]
    assert measured(system, seed=3, draws=2) == pytest.approx(sum(both) / 2)


def test_densities_of_other_latents_are_refused(make_system):
    system = make_system(*FLOW, "dataset=gaussian")
    check_requirements(bits_per_dimension, system)
    other = SimpleNamespace(networks=system.networks, game=SimpleNamespace(latent=Sphere(2)))
    with pytest.raises(ValueError, match=r"needs latents N\(0, I\)"):
        needs_density(other)
