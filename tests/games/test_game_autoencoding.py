"""Cells of the table of likelihoods and priors: who plays for what, and that one of them is a game that was there."""

import re

import pytest
import torch
from conftest import TINY
from methods import SGD, batches_of, prepared, some_steps
from torch import nn

from gan_runner.config.paths import CONF
from gan_runner.errors import ConfigError
from gan_runner.metrics.critic import critic_that_identifies
from gan_runner.sampling.rejection import log_ratio
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


JUDGES = ("discriminator", "code_discriminator")


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("game", CELLS)
def test_every_term_moves_all_that_its_player_owns_and_a_judge_nothing_else(make_parts, game):
    parts = prepared(make_parts(f"game={game}", *POINTS))
    nn.ModuleDict(parts.networks).double()
    batch = {"data": next(batches_of(parts))["data"].double()}
    for player in parts.players:
        for name, term in player.terms.items():
            value = term(parts.game.turn(parts.networks, player.owned, batch))
            for network, module in parts.networks.items():
                slopes = torch.autograd.grad(value, module.parameters(), retain_graph=True, allow_unused=True)
                moved = any(slope is not None and slope.abs().sum() > 1e-12 for slope in slopes)
                if network in player.owned:
                    assert moved, f"{player.name}/{name} leaves {network} where it is"
                elif player.name in JUDGES:
                    assert not any(slope is not None for slope in slopes), f"{player.name}/{name} reaches {network}"


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


def test_averages_of_a_generator_come_with_those_of_its_encoder(make_parts):
    parts = prepared(make_parts("game=vae", "regularizer=[ema]", "regularizer.ema.decay=0.9", *POINTS))
    x = next(batches_of(parts))["data"]
    for _ in range(3):
        train_step(parts.players, batches_of(parts))
    encoder, _ = parts.players
    average = encoder.constraints["ema"].averages["encoder"]
    assert torch.equal(parts.encode(x), average(x).mean)
    assert not torch.allclose(parts.encode(x), parts.networks["encoder"](x).mean)
    alone = ("game=autoencoding", "encoder=none", "likelihood=[synthetic]", "prior=none", "regularizer=[ema]")
    assert make_parts(*alone, *POINTS).sampling_networks().keys() == {"discriminator", "generator"}


def test_without_an_encoder_there_are_no_codes(make_parts):
    parts = make_parts("game=autoencoding", "encoder=none", "likelihood=[synthetic]", "prior=none", *POINTS)
    assert parts.encoder is None
    assert make_parts("game=vae", *POINTS).encoder is not None


def test_a_critic_of_pairs_has_no_surface_and_scores_samples_beside_their_latents(make_parts):
    parts = prepared(make_parts("game=ali", *POINTS))
    assert not parts.judges_points
    assert parts.surface() is None
    rows = parts.noise(5, 0)
    samples = parts.sample(rows)
    scores = parts.networks["pairs"].eval()(samples, rows)
    assert torch.allclose(log_ratio(parts, samples, rows), scores)  # which the loss makes the ratio


def test_a_critic_of_reconstructions_knows_no_ratio_of_samples(make_parts):
    """An optimal one knows 2p/(q + r), r being the density of reconstructions."""
    parts = make_parts("game=vae_gan", *POINTS)
    assert parts.identifies is None
    assert parts.surface().title == "the critic's score"
    with pytest.raises(ConfigError, match="tells reconstructions from data beside samples"):
        log_ratio(parts, torch.zeros(2, 2), parts.noise(2, 0))
    with pytest.raises(ValueError, match="this critic judges reconstructions, too"):
        critic_that_identifies("ratio")(parts)
    alone = make_parts("game=autoencoding", "likelihood=[observer,synthetic]", *POINTS)
    assert alone.identifies == "ratio"


def test_losses_that_are_named_for_codes_are_of_codes(make_parts):
    named = [CONF / "prior" / "code_discriminator.yaml", CONF.parent / "README.md"]
    losses = {
        loss for path in named if path.exists() for loss in re.findall(r"loss@prior\.loss=(\w+)", path.read_text())
    }
    assert losses
    for loss in losses:
        parts = make_parts("game=aae", f"loss@prior.loss={loss}", *POINTS)
        (term,) = parts.players[0].terms.values()
        assert term.keywords["loss"].identifies


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
        (["game=vae", "regularizer=[feature_matching]"], "looks at model.discriminator, and no player owns one here"),
        (["game=autoencoding", "likelihood=[learned]"], "choose likelihood=.observer,synthetic., or leave it out"),
        (["game=autoencoding", "likelihood=[]"], "players.generator owns generator and descends nothing"),
        (["game=ali", "regularizer=[unrolled]"], "does not move an encoder .*leave out regularizer=unrolled"),
        (["game=vae", "regularizer=[ema]", "regularizer.ema.decay=fast"], "^regularizer.ema.decay=fast: input should"),
        (["game=vae", "observation@game.observation=normal", "game.observation.scale=-1"], "must be positive"),
    ],
)
def test_what_does_not_go_together_is_refused(make_parts, options, message):
    with pytest.raises(ConfigError, match=message):
        make_parts(*options, *POINTS)


def test_any_prior_goes_with_a_discriminator_of_codes_and_a_sphere_with_moments(make_parts):
    make_parts("game=aae", UNIFORM, *POINTS)
    make_parts("game=alpha_gan", "prior=approximate", SPHERE, *POINTS)
