"""Autoencoding games: the players and terms of each likelihood and prior, and one that equals the plain GAN."""

import re

import pytest
import torch
from conftest import TINY
from methods import SGD, batches_of, prepared, some_steps
from torch import nn

from gan_runner.config.paths import CONF
from gan_runner.errors import ConfigError
from gan_runner.metrics.critic import needs_identified
from gan_runner.plots.surfaces import critic_surface
from gan_runner.sampling.critic import has_unconditional_critic, identifies
from gan_runner.sampling.inference import encode, encoder_of
from gan_runner.sampling.rejection import log_ratio
from gan_runner.step import train_step

POINTS = ["dataset=ring8", "model=mlp", *TINY["mlp"]]

UNIFORM, SPHERE = (f"model.latent._target_=gan_runner.models.latents.{prior}" for prior in ("Uniform", "Sphere"))

CELLS = {  # the players and their terms
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
def test_players_and_terms_of_each_game(make_system, game):
    system = prepared(make_system(f"game={game}", *POINTS))
    assert {player.name: list(player.terms) for player in system.players} == CELLS[game]
    before = {name: [p.clone() for p in network.parameters()] for name, network in system.networks.items()}
    report = train_step(system.players, batches_of(system))
    assert all(torch.isfinite(value).all() for value in report.values())
    for name, network in system.networks.items():  # every network is trained
        assert any(not torch.equal(p, q) for p, q in zip(network.parameters(), before[name]))
    assert system.sample(system.noise(3, 0)).shape == (3, 2)


CRITICS = ("discriminator", "code_discriminator")


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("game", CELLS)
def test_every_term_has_gradients_for_all_networks_of_its_player_and_for_no_other_critic(make_system, game):
    system = prepared(make_system(f"game={game}", *POINTS))
    nn.ModuleDict(system.networks).double()
    batch = {"data": next(batches_of(system))["data"].double()}
    for player in system.players:
        for name, term in player.terms.items():
            value = term(system.game.turn(system.networks, player.owned, batch))
            for network, module in system.networks.items():
                slopes = torch.autograd.grad(value, module.parameters(), retain_graph=True, allow_unused=True)
                moved = any(slope is not None and slope.abs().sum() > 1e-12 for slope in slopes)
                if network in player.owned:
                    assert moved, f"{player.name}/{name} leaves {network} where it is"
                elif player.name in CRITICS:
                    assert not any(slope is not None for slope in slopes), f"{player.name}/{name} reaches {network}"


@pytest.mark.usefixtures("_float64")
def test_a_synthetic_likelihood_alone_equals_a_gan_exactly(make_system):
    cell = ("encoder=none", "likelihood=[synthetic]", "prior=none")
    ours, _ = some_steps(make_system, ("mlp", "non_saturating", None, "points", "game=autoencoding", *cell))
    known, _ = some_steps(make_system, ("mlp", "non_saturating", None, "points"))
    assert ours.keys() == known.keys()
    assert all(torch.equal(ours[name], known[name]) for name in known)


def test_both_players_of_a_variational_autoencoder_move_simultaneously(make_system):
    """Both take the gradient of the bound at the same point, as a single optimizer of both networks would."""
    system = prepared(make_system("game=vae", "encoder=deterministic", "prior=none", *POINTS, *SGD))
    batch = next(batches_of(system))
    turn = system.game.turn(system.networks, ("encoder", "generator"), batch)
    encoder, generator = system.players
    (reconstruction,) = encoder.terms.values()
    parameters = encoder.parameters + generator.parameters
    gradients = torch.autograd.grad(reconstruction(turn), parameters)
    wanted = [p.detach() - 0.01 * g for p, g in zip(parameters, gradients)]
    system.update_scheme(system.players, iter([batch]))
    assert all(torch.allclose(p, w, atol=1e-6) for p, w in zip(parameters, wanted))


def test_an_autoencoder_learns_to_reconstruct(make_system):
    """It reconstructs each of eight points."""
    system = prepared(make_system("game=gan_e", *POINTS, "optimizer.lr=3e-3", "model.generator.width=32"))
    first = train_step(system.players, batches_of(system))["encoder/reconstruction"].item()
    batch = next(batches_of(system))
    for _ in range(150):
        report = train_step(system.players, iter(lambda: batch, None))
    assert report["encoder/reconstruction"].item() < 0.3 * first


def test_ema_averages_the_generator_and_its_encoder(make_system):
    system = prepared(make_system("game=vae", "regularizer=[ema]", "regularizer.ema.decay=0.9", *POINTS))
    x = next(batches_of(system))["data"]
    for _ in range(3):
        train_step(system.players, batches_of(system))
    encoder, _ = system.players
    average = encoder.constraints["ema"].averages["encoder"]
    assert torch.equal(encode(system, x), average(x).mean)
    assert not torch.allclose(encode(system, x), system.networks["encoder"](x).mean)
    alone = ("game=autoencoding", "encoder=none", "likelihood=[synthetic]", "prior=none", "regularizer=[ema]")
    assert make_system(*alone, *POINTS).sampling_networks().keys() == {"discriminator", "generator"}


def test_a_game_without_an_encoder_has_no_codes(make_system):
    system = make_system("game=autoencoding", "encoder=none", "likelihood=[synthetic]", "prior=none", *POINTS)
    assert encoder_of(system) is None
    assert encoder_of(make_system("game=vae", *POINTS)) is not None


def test_a_critic_of_pairs_has_no_surface_and_scores_samples_with_their_latents(make_system):
    system = prepared(make_system("game=ali", *POINTS))
    assert not has_unconditional_critic(system)
    assert critic_surface(system) is None
    rows = system.noise(5, 0)
    samples = system.sample(rows)
    scores = system.networks["pairs"].eval()(samples, rows)
    assert torch.allclose(log_ratio(system, samples, rows), scores)  # with this loss the score is the log ratio


def test_a_critic_of_reconstructions_estimates_no_ratio_of_samples(make_system):
    """An optimal one estimates 2p/(q + r), where r is the density of reconstructions."""
    system = make_system("game=vae_gan", *POINTS)
    assert identifies(system) is None
    assert critic_surface(system).title == "the critic's score"
    with pytest.raises(ConfigError, match="this run's critic is also trained on reconstructions"):
        log_ratio(system, torch.zeros(2, 2), system.noise(2, 0))
    with pytest.raises(ValueError, match="this one also scores reconstructions"):
        needs_identified("ratio")(system)
    alone = make_system("game=autoencoding", "likelihood=[observer,synthetic]", *POINTS)
    assert identifies(alone) == "ratio"


def test_losses_documented_for_codes_work_for_codes(make_system):
    named = [CONF / "prior" / "code_discriminator.yaml", CONF / "game" / "README.md"]
    losses = {
        loss for path in named if path.exists() for loss in re.findall(r"loss@prior\.loss=(\w+)", path.read_text())
    }
    assert losses
    for loss in losses:
        system = make_system("game=aae", f"loss@prior.loss={loss}", *POINTS)
        (term,) = system.players[0].terms.values()
        assert term.keywords["loss"].identifies


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["game=vae", "encoder=deterministic"], "choose encoder=gaussian"),
        (
            ["game=vae", UNIFORM],
            "prior: the KL divergence of q.* has a closed form only for N.*, but model.latent is Uniform; set",
        ),
        (
            ["game=vae", UNIFORM],
            "latents.Normal and leave out its low and high, or choose another prior=, such as code",
        ),
        (
            ["game=vae", SPHERE],
            "prior: the KL divergence of q.* has a closed form only for N.*, but model.latent is Sphere; set",
        ),
        (["game=aae", "prior=approximate", UNIFORM], "moments of codes are compared with those of N.* is Uniform"),
        (["game=vae", "loss=wgan_gp"], "needs a discriminator, but this game trains only: encoder, generator; leave"),
        (
            ["game=vae", "regularizer=[r1]"],
            "needs a discriminator, but this game trains only: encoder, generator; leave",
        ),
        (
            ["game=vae", "regularizer=[feature_matching]"],
            "needs model.discriminator, which no player of this configuration trains",
        ),
        (["game=autoencoding", "likelihood=[learned]"], "choose likelihood=.observer,synthetic., or leave it out"),
        (["game=autoencoding", "likelihood=[]"], "players.generator trains generator and has no loss"),
        (["game=ali", "regularizer=[unrolled]"], "does not train an encoder; leave out regularizer=unrolled"),
        (["game=vae", "regularizer=[ema]", "regularizer.ema.decay=fast"], "^regularizer.ema.decay=fast: input should"),
        (["game=vae", "observation@game.observation=normal", "game.observation.scale=-1"], "must be positive"),
    ],
)
def test_incompatible_options_are_refused(make_system, options, message):
    with pytest.raises(ConfigError, match=message):
        make_system(*options, *POINTS)


def test_a_code_discriminator_accepts_any_prior_and_moments_accept_a_sphere(make_system):
    make_system("game=aae", UNIFORM, *POINTS)
    make_system("game=alpha_gan", "prior=approximate", SPHERE, *POINTS)


@pytest.mark.parametrize(("dataset", "scale"), [("digits", 0.3), ("ring8", 0.1)])
def test_the_scale_of_errors_is_that_of_the_data(resolved_config, dataset, scale):
    config = resolved_config("game=vae", f"dataset={dataset}")
    assert config.game.observation.scale == scale
