"""Test the autoencoder critic with the networks of every model."""

from functools import partial

import pytest
import torch
from test_model_networks import MODELS, SHAPE
from torch import nn

from gan_runner.errors import ConfigError
from gan_runner.models.autoencoder import Autoencoder
from gan_runner.models.layers.minibatch_discrimination import MinibatchDiscrimination

every_model = pytest.mark.parametrize("model", MODELS)


def make(model, error="squared", code=5, shape=SHAPE, **knobs):
    torch.manual_seed(0)
    generator, discriminator = MODELS[model]
    width = {"width": 4} | {name: value for name, value in knobs.items() if name != "feature_layer"}
    layer = {"feature_layer": knobs["feature_layer"]} if "feature_layer" in knobs else {}
    return Autoencoder(discriminator(shape, **width, **layer), generator(code, shape, True, **width), code, error)


@every_model
@pytest.mark.parametrize("error", ["squared", "absolute"])
def test_score_is_minus_the_mean_error_of_each_sample(model, error):
    critic = make(model, error).eval()
    x = torch.rand(6, *SHAPE)
    assert critic.features(x).shape == (6, 5)
    assert critic.reconstruct(x).shape == x.shape
    difference = (critic.reconstruct(x) - x).flatten(1)
    errors = {"squared": difference.square(), "absolute": difference.abs()}[error].mean(1)
    torch.testing.assert_close(critic(x), -errors)
    torch.testing.assert_close(critic.score(critic.features(x), x), critic(x))


@every_model
def test_score_depends_on_every_parameter(model):
    critic = make(model)
    slopes = torch.autograd.grad(critic(torch.rand(6, *SHAPE)).sum(), list(critic.parameters()))
    assert all(slope.isfinite().all() for slope in slopes)


def test_autoencoder_learns_to_reconstruct():
    data = torch.rand(32, *SHAPE).round() * 2 - 1
    critic = make("mlp", code=16, width=64)
    optimizer = torch.optim.Adam(critic.parameters(), 3e-3)
    before = critic(data).mean().item()
    for _ in range(150):
        optimizer.zero_grad()
        (-critic(data).mean()).backward()
        optimizer.step()
    assert critic(data).mean().item() > 0.2 * before  # both are negative


@every_model
def test_virtual_batch_norm_gets_reference_batches(model):
    critic = make(model, norm="virtual", reference_size=4)
    data = torch.rand(8, *SHAPE)
    critic.prepare(data, data)
    torch.testing.assert_close(critic.encoder.trunk.reference, data[:4])
    assert critic.decoder.body.reference.abs().sum() > 0


@every_model
def test_spectral_norm_reaches_the_code(model):
    assert all(
        hasattr(layer, "parametrizations")
        for layer in make(model, weight_norm="spectral").encoder.modules()
        if isinstance(layer, nn.Linear | nn.Conv2d)
    )


@every_model
def test_minibatch_discrimination_comes_before_the_code(model):
    critic = make(model, feature_layer=partial(MinibatchDiscrimination, kernels=7), norm="none").eval()
    x = torch.rand(6, *SHAPE)
    together, alone = critic.features(x), torch.cat([critic.features(one) for one in x.split(1)])
    assert not torch.allclose(together, alone)


def test_code_length_below_one_is_refused():
    with pytest.raises(ValueError, match="latent_dim must be at least 1"):
        make("mlp", code=0)


@pytest.mark.parametrize("game", ["conditional", "semi_supervised", "text_to_image"])
@pytest.mark.parametrize("loss", ["ebgan", "began"])
def test_conditions_and_classification_are_refused(make_system, game, loss):
    with pytest.raises(ConfigError, match="does not classify; choose another loss, or game=gan"):
        make_system(f"game={game}", f"loss={loss}")
