"""A game of one generator against two discriminators; each discriminator is a part."""

from dataclasses import dataclass

from gan_runner.games.gan import GAN, GANTurn
from gan_runner.turn import Part, lazy

NETWORKS = {"a": "discriminator", "b": "discriminator_b"}
"""The name of each part's discriminator in the whole game."""


class CriticTurn(GANTurn):
    """The turn of one discriminator, with the noise and the fakes of the whole game."""

    @lazy
    def noise(self):
        return self.whole.noise

    @lazy
    def fake(self):
        return self.whole.fake


@dataclass(frozen=True)
class Critic(GAN):
    """One of the discriminators against the generator."""

    def turn(self, networks, owned, batch) -> CriticTurn:
        return CriticTurn(self, networks, owned, batch)


@dataclass(frozen=True)
class TwoCritics(GAN):
    """The generator against both, or against the first alone.

    Args:
        names: of the parts.
    """

    names: tuple[str, ...] = ("a", "b")

    @lazy
    def parts(self):
        networks = {name: {"generator": "generator", "discriminator": NETWORKS[name]} for name in self.names}
        return {name: Part(Critic(self.latent), networks[name]) for name in self.names}

    def prepare(self, networks, data, n):
        real = data.real(n)
        networks["generator"].prepare(self.latent(n, real.device), real)
        for name in self.names:
            networks[NETWORKS[name]].prepare(real, real)


def at(part, target, *options):
    """The configuration of a term in a part."""
    inner = ", ".join([f"_target_: gan_runner.terms.{target}", "_partial_: true", *options])
    return f"{{_target_: gan_runner.terms.at.At, part: {part}, term: {{{inner}}}}}"


def options(names=("a", "b"), terms=(), generator=("adversarial.generator_loss",)):
    """Overrides that turn `game=gan` into this game: the losses of each part, and more terms for the discriminators."""
    terms = [("adversarial", "adversarial.discriminator_loss", "loss: ${loss}"), *terms]
    yield from ("trusted=[two_critics]", "game._target_=two_critics.TwoCritics", f"+game.names=[{','.join(names)}]")
    yield from ("~players.discriminator.terms.adversarial", "~players.discriminator.weights.adversarial")
    yield from ("~players.generator.terms.adversarial", "~players.generator.weights.adversarial")
    if "b" in names:
        yield "+model.discriminator_b=${model.discriminator}"
    yield f"players.discriminator.networks=[{','.join(NETWORKS[name] for name in names)}]"
    for part in names:
        for term, *how in terms:
            yield f"+players.discriminator.terms.{term}_{part}={at(part, *how)}"
            yield f"+players.discriminator.weights.{term}_{part}=0.5"
        yield f"+players.generator.terms.adversarial_{part}={at(part, *generator, 'loss: ${loss}')}"
        yield f"+players.generator.weights.adversarial_{part}=1.0"
