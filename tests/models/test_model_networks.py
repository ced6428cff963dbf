"""Test properties of every generator and discriminator, for all options."""

import itertools
from functools import partial

import pytest
import torch
from torch import nn

from gan_runner.models.dcgan import DCGANDiscriminator, DCGANGenerator
from gan_runner.models.layers.minibatch_discrimination import MinibatchDiscrimination
from gan_runner.models.maxout import MaxoutDiscriminator, ReLUSigmoidGenerator
from gan_runner.models.mlp import MLPDiscriminator, MLPGenerator
from gan_runner.models.networks import WithReference

MODELS = {
    "dcgan": (DCGANGenerator, DCGANDiscriminator),
    "maxout": (ReLUSigmoidGenerator, MaxoutDiscriminator),
    "mlp": (MLPGenerator, MLPDiscriminator),
}
NORMS = ["none", "batch", "layer", "instance", "virtual"]
WEIGHT_NORMS = ["none", "spectral", "orthogonal"]
KNOBS = [
    (model, norm, weight_norm)
    for model, norm, weight_norm in itertools.product(MODELS, NORMS, WEIGHT_NORMS)
    if norm != "instance" or model == "dcgan"
]
SHAPE = (1, 16, 16)


def make(model, **knobs):
    """A small generator and discriminator, initialised from data."""
    torch.manual_seed(0)
    generator, discriminator = MODELS[model]
    networks = generator(3, SHAPE, True, width=4, **knobs), discriminator(SHAPE, width=4, **knobs)
    data = torch.rand(8, *SHAPE) * 2 - 1
    networks[0].prepare(torch.randn(8, 3), data)
    networks[1].prepare(data, data)
    return networks


@pytest.mark.parametrize(("model", "norm", "weight_norm"), KNOBS)
def test_all_options_can_be_combined(model, norm, weight_norm):
    generator, discriminator = make(model, norm=norm, weight_norm=weight_norm, reference_size=5)
    fake = generator(torch.randn(6, 3))
    assert fake.shape == (6, *SHAPE)
    assert fake.abs().max() < 1
    scores = discriminator(fake)
    assert scores.shape == (6,)
    parameters = [*generator.parameters(), *discriminator.parameters()]
    slopes = torch.autograd.grad(scores.square().mean(), parameters)
    assert all(slope.isfinite().all() for slope in slopes)
    assert all(slope.any() for slope in slopes[:1]), "no slope reaches the generator's first layer"


@pytest.mark.parametrize(("model", "norm", "weight_norm"), KNOBS)
def test_norm_and_weight_norm_have_their_effect(model, norm, weight_norm):
    kinds = {
        "none": (),
        "batch": (nn.BatchNorm1d, nn.BatchNorm2d),
        "layer": (nn.GroupNorm,),
        "instance": (nn.InstanceNorm2d,),
    }
    for network in make(model, norm=norm, weight_norm=weight_norm, reference_size=5):
        normalisations = [m for m in network.modules() if "Norm" in type(m).__name__ and "Spectral" not in str(type(m))]
        if norm == "virtual":
            assert {type(m).__name__ for m in normalisations} == {"VirtualBatchNorm"}
        else:
            assert all(isinstance(m, kinds[norm]) for m in normalisations)
            assert bool(normalisations) == (norm != "none")
        weighted = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
        assert all(hasattr(m, "parametrizations") == (weight_norm != "none") for m in weighted)


@pytest.mark.parametrize("model", ["maxout", "mlp"])
def test_instance_norm_of_vectors_is_refused(model):
    for network in MODELS[model]:
        arguments = (3, SHAPE, True) if network is MODELS[model][0] else (SHAPE,)
        with pytest.raises(ValueError, match="norm=instance needs images"):
            network(*arguments, norm="instance")


@pytest.mark.parametrize("model", MODELS)
def test_scores_are_the_head_of_the_features(model):
    _, discriminator = make(model)
    discriminator.eval()
    x = torch.rand(5, *SHAPE)
    features = discriminator.features(x)
    assert features.dim() == 2
    assert torch.equal(discriminator(x), discriminator.score(features, x))
    weight, bias = discriminator.head[-1].weight, discriminator.head[-1].bias
    torch.testing.assert_close(discriminator(x), features @ weight[0] + bias)


@pytest.mark.parametrize("model", MODELS)
def test_minibatch_discrimination_features_grow_with_similarity(model):
    layer = partial(MinibatchDiscrimination, kernels=7)
    discriminator = MODELS[model][1](SHAPE, width=4, norm="none", feature_layer=layer).eval()
    similarity, score = discriminator.head
    x = torch.rand(6, *SHAPE)
    width = discriminator.features(x).shape[1]
    assert score.in_features == width + 7
    alike = similarity(discriminator.features(x[:1].expand(6, *SHAPE)))[:, width:]
    torch.testing.assert_close(alike, torch.full((6, 7), 5.0))
    assert similarity(discriminator.features(20 * x))[:, width:].mean() < 5
    assert discriminator(x).shape == (6,)


class Scaled(nn.Module):
    """Multiplies by a factor."""

    def __init__(self, shape, factor):
        super().__init__()
        assert shape == SHAPE
        self.factor = factor

    def forward(self, x):
        return self.factor * x


class Square(nn.Module):
    """Squares."""

    def __init__(self, shape):
        super().__init__()

    def forward(self, x):
        return x.square()


@pytest.mark.parametrize("model", MODELS)
def test_input_is_augmented_in_order_in_training_only(model):
    augment = {"double": partial(Scaled, factor=2), "square": Square}
    plain, augmented = (MODELS[model][1](SHAPE, width=4, norm="none", augment=knob) for knob in (None, augment))
    augmented.load_state_dict(plain.state_dict())
    for module in (*plain.modules(), *augmented.modules()):
        module.training = not isinstance(module, nn.Dropout)
    x = torch.rand(5, *SHAPE)
    torch.testing.assert_close(augmented(x), plain(4 * x.square()))
    assert torch.equal(augmented.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("model", MODELS)
def test_virtual_batch_norm_makes_samples_independent_of_the_batch(model):
    generator, _ = make(model, norm="virtual", reference_size=5)
    z = torch.randn(6, 3)
    torch.testing.assert_close(generator(z), torch.cat([generator(one) for one in z.split(1)]))


@pytest.mark.parametrize("model", MODELS)
def test_reference_batch_is_saved_in_checkpoints(model):
    generator, discriminator = make(model, norm="virtual", reference_size=5)
    others = make(model, norm="virtual", reference_size=5)
    for network, other, x in zip((generator, discriminator), others, (torch.randn(4, 3), torch.rand(4, *SHAPE))):
        other.prepare(torch.randn_like(x), torch.rand(4, *SHAPE))
        network.eval(), other.eval()
        assert not torch.allclose(network(x), other(x))
        other.load_state_dict(network.state_dict())
        assert torch.equal(network(x), other(x))


def test_reference_batch_is_prepended_and_removed():
    class Differences(nn.Module):
        def forward(self, x):
            self.seen = x
            return x - x[:2].mean(0)

    body = Differences()
    network = WithReference(body, (3,), 2)
    reference, x = torch.randn(2, 3), torch.randn(4, 3)
    network.prepare(reference)
    torch.testing.assert_close(network(x), x - reference.mean(0))
    assert torch.equal(body.seen, torch.cat([reference, x]))


@pytest.mark.parametrize("given", [1, 3, 5, 8])
def test_reference_batch_repeats_the_first_rows(given):
    network = WithReference(nn.Identity(), (2,), 5)
    rows = torch.randn(given, 2)
    network.prepare(rows)
    assert torch.equal(network.reference, rows.repeat(5, 1)[:5])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["width", "reference_size", "latent_dim"])
def test_sizes_below_one_are_refused(model, name):
    generator, discriminator = MODELS[model]
    sizes = {"latent_dim": 3, "width": 4, name: 0}
    with pytest.raises(ValueError, match="must be at least 1, not 0"):
        generator(shape=SHAPE, bounded=True, **sizes)
    if name != "latent_dim":
        del sizes["latent_dim"]
        with pytest.raises(ValueError, match="must be at least 1, not 0"):
            discriminator(SHAPE, **sizes)
