"""Cells of the table of likelihoods and priors: who plays for what, and that one of them is a game that was there."""

import pytest
import torch
from conftest import TINY
from methods import SGD, batches_of, prepared, some_steps

from gan_runner.errors import ConfigError
from gan_runner.step import train_step

POINTS = ["dataset=ring8", "model=mlp", *TINY["mlp"]]

UNIFORM, SPHERE = (f"model.latent._target_=gan_runner.models.latents.{prior}" for prior in ("Uniform", "Sphere"))

CELLS = {  # who moves, and for what
    "vae": {"encoder": ["reconstruction", "prior"], "generator": ["reconstruction"]},
    "aae": {"code_discriminator": ["codes"], "encoder": ["reconstruction", "prior"], "generator": ["reconstruction"]},
    "adversarial_vb": {
        "code_discriminator": ["codes"],
        "encoder": ["reconstruction", "prior"],
        "generator": ["reconstruction"],
    },
    "age": {"encoder": ["reconstruction", "prior", "fakes"], "generator": ["fakes", "codes"]},
    "gan_e": {
        "discriminator": ["adversarial"],
        "encoder": ["reconstruction"],
        "generator": ["reconstruction", "adversarial"],
    },
    "vae_gan": {
        "discriminator": ["adversarial", "reconstruction"],
        "encoder": ["similarity", "prior"],
        "generator": ["similarity", "adversarial", "adversarial_reconstruction"],
    },
    "alpha_gan": {
        "discriminator": ["adversarial", "reconstruction"],
        "code_discriminator": ["codes"],
        "encoder": ["reconstruction", "prior"],
        "generator": ["reconstruction", "adversarial", "adversarial_reconstruction"],
    },
    "ali": {"discriminator": ["adversarial"], "generator": ["adversarial"]},
}


@pytest.mark.parametrize("game", CELLS)
def test_who_moves_for_what(make_parts, game):
    parts = prepared(make_parts(f"game={game}", *POINTS))
    assert {player.name: list(player.terms) for player in parts.players} == CELLS[game]
    before = {name: [p.clone() for p in network.parameters()] for name, network in parts.networks.items()}
    report = train_step(parts.players, batches_of(parts))
    assert all(torch.isfinite(value).all() for value in report.values())
    for name, network in parts.networks.items():  # all of them learn
        assert any(not torch.equal(p, q) for p, q in zip(network.parameters(), before[name]))
    assert parts.sample(parts.noise(3, 0)).shape == (3, 2)


@pytest.mark.usefixtures("_float64")
def test_a_synthetic_likelihood_alone_is_a_gan_to_the_bit(make_parts):
    cell = ("encoder=none", "likelihood=[synthetic]", "prior=none")
    ours, _ = some_steps(make_parts, ("mlp", "non_saturating", None, "points", "game=autoencoding", *cell))
    known, _ = some_steps(make_parts, ("mlp", "non_saturating", None, "points"))
    assert ours.keys() == known.keys()
    assert all(torch.equal(ours[name], known[name]) for name in known)


def test_both_of_a_variational_autoencoder_move_at_once(make_parts):
    """Each descends the one bound at the same point, as a single optimizer of both would."""
    parts = prepared(make_parts("game=vae", "encoder=deterministic", "prior=none", *POINTS, *SGD))
    batch = next(batches_of(parts))
    turn = parts.game.turn(parts.networks, ("encoder", "generator"), batch)
    encoder, generator = parts.players
    (reconstruction,) = encoder.terms.values()
    parameters = encoder.parameters + generator.parameters
    gradients = torch.autograd.grad(reconstruction(turn), parameters)
    wanted = [p.detach() - 0.01 * g for p, g in zip(parameters, gradients)]
    parts.play(parts.players, iter([batch]))
    assert all(torch.allclose(p, w, atol=1e-6) for p, w in zip(parameters, wanted))


def test_an_autoencoder_becomes_one(make_parts):
    """On eight points it learns to return each of them."""
    parts = prepared(make_parts("game=gan_e", *POINTS, "optimizer.lr=3e-3", "model.generator.width=32"))
    first = train_step(parts.players, batches_of(parts))["encoder/reconstruction"].item()
    batch = next(batches_of(parts))
    for _ in range(150):
        report = train_step(parts.players, iter(lambda: batch, None))
    assert report["encoder/reconstruction"].item() < 0.3 * first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["game=vae", "encoder=deterministic"], "choose encoder=gaussian"),
        (
            ["game=vae", UNIFORM],
            "prior: the distance of q.* is known where that is N.*, and model.latent is Uniform; set",
        ),
        (
            ["game=vae", UNIFORM],
            "latents.Normal and leave out its low and high, or choose another prior=, such as code",
        ),
        (
            ["game=vae", SPHERE],
            "prior: the distance of q.* is known where that is N.*, and model.latent is Sphere; set",
        ),
        (["game=aae", "prior=approximate", UNIFORM], "moments of codes are compared with those of N.* is Uniform"),
        (["game=vae", "loss=wgan_gp"], "no such player"),
        (["game=vae", "regularizer=[r1]"], "no such player"),
        (["game=vae", "observation@game.observation=normal", "game.observation.scale=-1"], "must be positive"),
    ],
)
def test_what_does_not_go_together_is_refused(make_parts, options, message):
    with pytest.raises(ConfigError, match=message):
        make_parts(*options, *POINTS)


def test_any_prior_goes_with_a_discriminator_of_codes_and_a_sphere_with_moments(make_parts):
    make_parts("game=aae", UNIFORM, *POINTS)
    make_parts("game=alpha_gan", "prior=approximate", SPHERE, *POINTS)
