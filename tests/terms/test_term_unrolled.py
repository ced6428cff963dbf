"""The unrolled loss, against the plain game and finite differences."""

import pytest
import torch
from conftest import TINY, thinned
from methods import batches_of

from gan_runner.errors import ConfigError
from gan_runner.games.gan import GAN
from gan_runner.losses.bernoulli import Minimax, NonSaturating
from gan_runner.models.latents import Normal
from gan_runner.models.mlp import MLPDiscriminator, MLPGenerator
from gan_runner.requirements import OwnedNetworks
from gan_runner.terms.adversarial import discriminator_loss, generator_loss
from gan_runner.terms.gradient_penalties import gradient_penalty, r1, r2
from gan_runner.terms.unrolled import UnrolledGeneratorLoss, adam


@pytest.fixture
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def game():
    """Smooth networks, a batch, and the generator's turn on the same noise every time."""
    sizes = {"width": 5, "depth": 2, "activation": "tanh"}
    networks = {
        "generator": MLPGenerator(2, (2,), False, **sizes),
        "discriminator": MLPDiscriminator((2,), **sizes),
    }
    noise, data = torch.randn(6, 2), torch.randn(6, 2)

    def turn(owned="generator"):
        fresh = GAN(Normal(2)).turn(networks, (owned,), {"data": data})
        fresh.given(noise=noise)
        return fresh

    return networks, turn


def unrolled(networks, loss, penalty=r1, **knobs):
    terms = {"adversarial": lambda turn: discriminator_loss(turn, loss), "penalty": penalty}
    others = {"discriminator": networks["discriminator"]}
    owned = OwnedNetworks({"generator": networks["generator"]}, GAN(Normal(2)), others, 6)
    return UnrolledGeneratorLoss(owned, loss, terms, {"adversarial": 1.0, "penalty": 0.1}, **knobs)


def fixed_gradient_penalty(turn):
    """A gradient penalty that draws the same points every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return gradient_penalty(turn)


@pytest.mark.usefixtures("_float64")
def test_zero_steps_equal_the_plain_game():
    networks, turn = game()
    loss = NonSaturating()
    plain, ahead = generator_loss(turn(), loss), unrolled(networks, loss, steps=0)(turn())
    assert torch.equal(plain, ahead)
    parameters = list(networks["generator"].parameters())
    for a, b in zip(torch.autograd.grad(plain, parameters), torch.autograd.grad(ahead, parameters)):
        assert torch.equal(a, b)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("penalty", thinned([r1, r2, fixed_gradient_penalty], 3), ids=["r1", "r2", "gradient_penalty"])
@pytest.mark.parametrize("betas", [None, (0.5, 0.999)], ids=["gradient descent", "adam"])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_gradient_through_the_updates_equals_finite_differences(steps, betas, penalty):
    networks, turn = game()
    term = unrolled(networks, Minimax(), penalty, steps=steps, lr=0.05, betas=betas)
    term(turn())  # Adam has seen a gradient
    memory = {name: value.clone() for name, value in term.state_dict().items()}

    def value():
        term.load_state_dict(memory)
        return term(turn())

    parameters = list(networks["generator"].parameters())
    gradients = torch.autograd.grad(value(), parameters)
    plain = torch.autograd.grad(generator_loss(turn(), Minimax()), parameters)
    for parameter, gradient, without in zip(parameters, gradients, plain):
        for index in (0, parameter.numel() - 1):
            flat = parameter.data.view(-1)
            flat[index] += 1e-5
            above = value().detach()
            flat[index] -= 2e-5
            below = value().detach()
            flat[index] += 1e-5
            torch.testing.assert_close(gradient.view(-1)[index], (above - below) / 2e-5, rtol=1e-4, atol=1e-9)
        assert not torch.allclose(gradient, without, rtol=1e-3)


@pytest.mark.usefixtures("_float64")
def test_simulated_updates_equal_real_ones():
    networks, turn = game()
    loss = Minimax()
    ahead = unrolled(networks, loss, steps=2, lr=0.1, betas=None)(turn())
    discriminator = networks["discriminator"]
    optimizer = torch.optim.SGD(discriminator.parameters(), lr=0.1)
    for _ in range(2):
        seen = turn("discriminator")
        optimizer.zero_grad()
        (discriminator_loss(seen, loss) + 0.1 * r1(seen)).backward(inputs=list(discriminator.parameters()))
        optimizer.step()
    assert torch.isclose(ahead, generator_loss(turn(), loss))


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    "options",
    [("game=alpha_gan", "encoder=gaussian"), ("loss=relativistic", "game=conditional"), ("loss=relativistic_average",)],
    ids=["reconstructions", "conditions", "real scores"],
)
def test_the_gradient_through_the_updates_equals_finite_differences_in_every_game(make_system, options):
    smooth = [f"model.{name}.activation=tanh" for name in ("generator", "discriminator")]
    knobs = ("regularizer=[unrolled]", "regularizer.unrolled={steps: 2, lr: 0.3, betas: null}")
    system = make_system("dataset=ring8", "model=mlp", *TINY["mlp"], *smooth, *options, *knobs)
    torch.nn.ModuleDict(system.networks).double()
    batch = {name: x.double() if x.is_floating_point() else x for name, x in next(batches_of(system)).items()}
    (player,) = (player for player in system.players if player.name == "generator")

    def value():
        torch.manual_seed(0)
        return player.terms["adversarial"](system.game.turn(system.networks, player.owned, batch))

    gradients = torch.autograd.grad(value(), player.parameters)
    for parameter, gradient in zip(player.parameters, gradients):
        index = gradient.abs().argmax()
        flat, slope = parameter.data.view(-1), gradient.flatten()[index]
        flat[index] += 1e-5
        above = value().detach()
        flat[index] -= 2e-5
        below = value().detach()
        flat[index] += 1e-5
        torch.testing.assert_close(slope, (above - below) / 2e-5, rtol=1e-5, atol=1e-9)


@pytest.mark.usefixtures("_float64")
def test_its_adam_equals_torchs():
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=0.1, betas=(0.5, 0.9))
    ours, state = w.detach().clone(), (torch.zeros(()), [torch.zeros(2)], [torch.zeros(2)])
    for step in range(5):
        w.grad = torch.sin(w.detach() + step)
        (change,), state = adam(0.1, 0.5, 0.9, 1e-8)([torch.sin(ours + step)], state)
        optimizer.step()
        ours = ours - change
        torch.testing.assert_close(ours, w.detach())


def test_the_discriminator_is_not_changed_and_not_saved_twice(make_system):
    system = make_system("dataset=ring8", "model=mlp", *TINY["mlp"], "regularizer=[unrolled]")
    generator = system.players[1]
    before = [p.clone() for p in system.networks["discriminator"].parameters()]
    _, gradients = generator.move({"data": torch.randn(8, 2)})
    assert len(gradients) == len(list(system.networks["generator"].parameters()))
    assert all(torch.equal(a, b) for a, b in zip(before, system.networks["discriminator"].parameters()))
    kept = generator.stateful_modules().state_dict()
    assert not [name for name in kept if "network" in name]
    assert kept["terms.adversarial.moves"] == 1


def test_stateful_terms_cannot_be_simulated(make_system):
    with pytest.raises(ConfigError, match="cannot be simulated; leave out regularizer=unrolled"):
        make_system("dataset=ring8", "model=mlp", *TINY["mlp"], "loss=began", "regularizer=[unrolled]")


@pytest.mark.parametrize("options", [["norm=batch"], ["norm=none", "weight_norm=spectral"]], ids=["batch", "spectral"])
@pytest.mark.parametrize("steps", [0, 2])
def test_statistics_of_the_discriminator_are_not_those_of_simulated_weights(make_system, options, steps):
    changed = [f"model.discriminator.{option}" for option in options]
    system = make_system(
        "dataset=ring8",
        "model=mlp",
        *TINY["mlp"],
        "regularizer=[unrolled]",
        f"regularizer.unrolled.steps={steps}",
        *changed,
    )
    before = {name: buffer.clone() for name, buffer in system.networks["discriminator"].named_buffers()}
    assert before
    system.players[1].move({"data": torch.randn(8, 2)})
    after = dict(system.networks["discriminator"].named_buffers())
    assert all(torch.equal(before[name], after[name]) for name in before)
    system.players[0].move({"data": torch.randn(8, 2)})
    assert any(not torch.equal(before[name], after[name]) for name in before)
