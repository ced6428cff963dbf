"""A game with a given critic function and given fakes."""

import torch
from torch import nn

from gan_runner.games.autoencoding import Bidirectional
from gan_runner.games.gan import GAN
from gan_runner.models.encoders import Posterior
from gan_runner.models.latents import Normal


class Critic(nn.Module):
    """A critic whose features are its input and whose scores (n,) are a function of it; it stores its inputs."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.asked = []

    def features(self, x):
        self.asked.append(x.detach())
        return x

    def score(self, features, x):
        return self.function(features)


class Always(nn.Module):
    """A generator that always returns the same batch, which is its parameter."""

    def __init__(self, batch):
        super().__init__()
        self.batch = nn.Parameter(batch)

    def forward(self, noise):
        return self.batch + 0 * noise.sum()


def turn_of(critic, real, fake, owned=("discriminator",)):
    """The turn of a player (by default the discriminator) on these real samples and fakes."""
    discriminator = critic if isinstance(critic, nn.Module) and hasattr(critic, "features") else Critic(critic)
    networks = {"generator": Always(fake), "discriminator": discriminator}
    return GAN(Normal(2)).turn(networks, owned, {"data": real})


class OfPairs(Critic):
    """A critic of pairs whose scores are a function of sample and code."""

    def score(self, features, x, codes):
        self.asked.append(codes.detach())
        return self.function(features, codes)


class Codes(nn.Module):
    """An encoder with the same codes for all data."""

    def __init__(self, codes):
        super().__init__()
        self.codes = codes

    def forward(self, x):
        return Posterior(self.codes, self.codes)


def turn_of_pairs(function, real, fake):
    """The discriminator's turn in a game of pairs with codes of three numbers, scored by a function of both."""
    networks = {"encoder": Codes(normal(len(real), 3)), "generator": Always(fake), "discriminator": OfPairs(function)}
    turn = Bidirectional(Normal(3)).turn(networks, ("discriminator",), {"data": real})
    return turn.given(noise=normal(len(real), 3))


def smooth_network(inputs, width=6):
    """(n, *shape) → (n,), smooth, in float64."""
    layers = [nn.Flatten(), nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 1), nn.Flatten(0)).double()


def normal(*shape):
    return torch.randn(*shape, dtype=torch.float64)
