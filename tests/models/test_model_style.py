"""Test the style encoder, which inverts a generator."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from methods import Drawn, batches_of
from PIL import Image
from torch import nn

from gan_runner.cli.sample import main as gan_sample
from gan_runner.errors import ConfigError
from gan_runner.models.style import StyleEncoder
from gan_runner.runs.saved import open_checkpoint
from gan_runner.system import eval_mode
from gan_runner.terms.style import style

DCGAN = ("model=dcgan", "model.generator.width=4", "model.discriminator.width=4")
TINY = ("model=dcgan", "regularizer=[style_encoder]", "regularizer.style_encoder.width=4", "model.latent.dim=3")


def test_style_encoder_maps_images_to_latents():
    assert StyleEncoder(5, (3, 16, 16), width=4)(torch.zeros(2, 3, 16, 16)).shape == (2, 5)


def test_a_reference_batch_is_refused(make_system):
    with pytest.raises(ConfigError, match="choose norm=batch"):
        make_system(*TINY, "regularizer.style_encoder.norm=virtual")


def test_points_are_refused(make_system):
    with pytest.raises(ConfigError, match="needs square images"):
        make_system("dataset=ring8", "model=mlp", "regularizer=[style_encoder]")


def test_term_is_the_squared_distance_of_latents():
    noise, fake = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[1.0, 0.0], [3.0, 0.0]]])
    game = SimpleNamespace(latent=SimpleNamespace(dim=2))
    turn = SimpleNamespace(game=game, noise=noise, fake=fake, networks={"style": nn.Identity()})
    assert style(turn).item() == (4 + 9) / 2
    turn.noise = torch.cat([noise, torch.full((2, 3), 7.0)], 1)  # codes are ignored
    assert style(turn).item() == (4 + 9) / 2


@pytest.mark.parametrize("game", ["infogan", "moment_matching_codes", "conditional", "semi_supervised"])
def test_style_encoder_infers_latents_only(make_system, game):
    options = ("regularizer=[style_encoder]", "regularizer.style_encoder.width=4", f"game={game}", *DCGAN)
    system = make_system(*options, *(["loss=mmd", f"game={game}"] if game.startswith("moment") else []))
    batch = next(batches_of(system))
    system.game.prepare(system.networks, Drawn(batch), 8)
    assert system.networks["style"].latent.out_features == system.game.latent.dim
    assert system.noise(2, 0).shape[1] >= system.game.latent.dim
    assert system.step(iter([batch]))["style/style"].isfinite()


def test_a_game_without_latents_is_refused(make_system):
    with pytest.raises(ConfigError, match=r"no latents to infer; leave out regularizer=\[style_encoder\]"):
        make_system("game=bilinear", "regularizer=[style_encoder]")


@pytest.mark.usefixtures("_float64")
def test_style_encoder_learns_to_invert_the_generator_and_trains_no_other_network(make_system):
    still = ("players.discriminator.updates=1", "players.discriminator.optimizer.lr=0", "players.generator.updates=0")
    system = make_system(*TINY, *still, "model.generator.width=4", "model.discriminator.width=4", "optimizer.lr=3e-3")
    nn.ModuleDict(system.networks).double()
    batches = ({"data": batch["data"].double()} for batch in batches_of(system, 32))
    system.game.prepare(system.networks, Drawn(next(batches)), 8)
    before = [p.clone() for p in system.networks["generator"].parameters()]
    losses = [system.step(batches)["style/style"].item() for _ in range(60)]
    assert losses[0] > 2  # E‖z‖² = 3 for a constant S
    assert sum(losses[-5:]) / 5 < 0.5 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, system.networks["generator"].parameters()))


def test_samples_take_their_latents_from_an_image(gan_run, tmp_path, capfd):
    small = (*TINY, "model.generator.width=4", "model.discriminator.width=4", "metric=[]", "objective=null")
    code, _, err = gan_run(
        *small, "trainer.steps=1", "trainer.batch_size=8", "logger.mode=disabled", "hydra.run.dir=run"
    )
    assert code == 0, err
    gan_sample(["run", "--n", "1", "--out", "made"])
    system = open_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").system("cpu")
    gan_sample(["run", "--n", "3", "--style", "made/00000.png", "--out", "alike"])
    capfd.readouterr()
    made, *alike = (
        torch.from_numpy(np.array(Image.open(path)))
        for path in [tmp_path / "made" / "00000.png", *sorted((tmp_path / "alike").iterdir())]
    )
    assert len(alike) == 1  # more samples would be equal
    with eval_mode(system.networks), torch.no_grad():
        latent = system.networks["style"]((made / 127.5 - 1).view(1, 1, 16, 16))
    expected = ((system.sample(latent)[0, 0] + 1) * 127.5).round()
    assert (alike[0] - expected).abs().max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--style", "image.png"], "train with regularizer=[style_encoder]"),
        (["--style", "image.png", "--interpolate"], "leave out --interpolate"),
        (["--style", "image.png", "--weigh", "--out", "many"], "leave out --interpolate, --traverse, --reject and --w"),
    ],
)
def test_unsupported_uses_of_style_are_refused_in_one_line(gan_run, capfd, options, message):
    small = ("model=mlp", "metric=[]", "objective=null", "trainer.steps=1", "logger.mode=disabled", "hydra.run.dir=run")
    assert gan_run(*small)[0] == 0
    with pytest.raises(SystemExit) as stopped:
        gan_sample(["run", *options])
    assert stopped.value.code == 2
    err = capfd.readouterr().err
    assert message in err
    assert err.count("\n") == 1
