"""Pictures of what an encoder makes of held-out data, and what a checkpoint keeps of labelled data."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import TINY
from PIL import Image
from tiny_runs import TINY_RUN

from gan_runner.models.encoders import Posterior
from gan_runner.observers import encodings
from gan_runner.observers.encodings import Interpolations, LatentSpace, Reconstructions
from gan_runner.plots.grids import image_grid
from gan_runner.runs.checkpoints import load_checkpoint
from gan_runner.runs.saved import open_checkpoint
from gan_runner.sampling.attributes import code_means
from gan_runner.sampling.inference import encode, paths, reconstruct

OPTIONS = ["game=vae", "model=mlp", *TINY["mlp"], "trainer.steps=2", "trainer.sample_every=1", "trainer.batch_size=8"]
OPTIONS += ["observer.evaluation.samples=16", "logger.mode=disabled", "hydra.run.dir=run"]
SMALL = ["dataset.held_out=50", "observer.interpolations.rows=3", "observer.interpolations.columns=4"]
SMALL += ["observer.reconstructions.images=10", "observer.attributes.samples=300"]
KINDS = ("reconstructions", "latent_space", "interpolations")
SIDE = 66  # 16 px, magnified to 64, and 2 between them


def pixels(path):
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


@pytest.fixture
def run(gan_run, tmp_path):
    """The directory of a run of two steps on images, and what plays in it."""
    code, _, err = gan_run(*OPTIONS, *SMALL)
    assert code == 0, err
    return tmp_path / "run", open_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt").system("cpu")


def test_a_run_shows_what_its_encoder_does_to_held_out_images(run):
    folder, system = run
    samples = folder / "samples"
    for kind in KINDS:
        assert len(list(samples.glob(f"{kind}_step_*.png"))) == 2
    data = system.dataset.load(system.device, "validation").first(10)["data"]

    shown = pixels(samples / "reconstructions_step_0000002.png")
    assert shown.shape == (2 * (2 * SIDE + 2) + 12, 8 * SIDE + 2, 3)
    np.testing.assert_array_equal(shown[: SIDE + 2], image_grid(data[:8], 8, gap=2))  # the first row is the input
    below = image_grid(reconstruct(system, data[:8]), 8, gap=2).astype(int)
    assert np.abs(shown[SIDE : 2 * SIDE + 2] - below).max() <= 1

    shown = pixels(samples / "interpolations_step_0000002.png")
    assert shown.shape == (3 * SIDE + 2, (4 + 2) * SIDE + 3 * 2 + 2 * 12, 3)
    np.testing.assert_array_equal(shown[:, : SIDE + 2], image_grid(data[:3], 1, gap=2))
    np.testing.assert_array_equal(shown[:, -SIDE - 2 :], image_grid(data[3:6], 1, gap=2))
    for place, ends in ((SIDE + 2 + 12, data[:3]), (SIDE + 2 + 12 + 3 * SIDE, data[3:6])):
        made = image_grid(reconstruct(system, ends), 1, gap=2).astype(int)
        assert np.abs(shown[:, place : place + SIDE + 2] - made).max() <= 1

    assert pixels(samples / "latent_space_step_0000002.png").shape == (600, 1200, 3)
    assert (samples / "training.gif").exists()


def test_a_checkpoint_keeps_mean_codes_of_training_data(run):
    folder, system = run
    kept = load_checkpoint(folder / "checkpoints" / "last.pt")["attributes"]
    expected = code_means(system, system.dataset.labels, system.dataset.load(system.device), 300)
    assert kept.keys() == expected.keys()
    assert kept["of"] == 300
    assert all(torch.allclose(kept[name], expected[name], atol=1e-5) for name in expected)


def test_points_are_shown_as_points(gan_run, tmp_path):
    code, _, err = gan_run(*OPTIONS, "dataset=ring8")
    assert code == 0, err
    for kind, size in zip(KINDS, ((600, 600), (1200, 600), (600, 600))):
        with Image.open(tmp_path / "run" / "samples" / f"{kind}_step_0000002.png") as picture:
            assert picture.size == size


def test_paths_lead_from_reconstruction_to_reconstruction(make_system):
    for prior in ("Normal", "Sphere", "Uniform"):
        latent = f"model.latent._target_=gan_runner.models.latents.{prior}"
        system = make_system("game=gan_e", latent, "dataset=ring8", "model=mlp", *TINY["mlp"])
        first, second = torch.randn(2, 6, 2)
        ways = paths(system, first, second, 5)
        assert ways.shape == (6, 5, 2)
        torch.testing.assert_close(ways[:, 0], reconstruct(system, first), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ways[:, -1], reconstruct(system, second), atol=1e-5, rtol=1e-4)
        assert (ways[:, 2] - ways[:, 0]).abs().max() > 1e-4


def test_looking_at_codes_is_the_same_every_time_and_leaves_the_run_its_random_numbers(make_system):
    system = make_system("game=vae", "encoder=implicit", "prior=none", "dataset=ring8", "model=mlp", *TINY["mlp"])
    x = torch.randn(5, 2)
    before = torch.get_rng_state()
    first = encode(system, x)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(7)
    assert torch.equal(encode(system, x), first)


def test_a_latent_space_is_of_draws_beside_others_of_the_prior(make_system, monkeypatch, tmp_path):
    """Codes by the true posterior N(x / 2, I / 2) of x = z + ε are N(0, I), while their means are N(0, I / 2)."""
    data = ["dataset=gaussian", f"dataset.means=[{[0.0] * 50}]", f"dataset.std={2**0.5}"]
    system = make_system("game=vae", "model=mlp", *data, *TINY["mlp"], "model.latent.dim=50")
    std = torch.tensor(0.5**0.5)
    system.networks["encoder"] = Posteriors(lambda x: (x / 2 + std * torch.randn_like(x), x / 2))
    looked_at = {}
    monkeypatch.setattr(encodings, "draw_latent_space", lambda path, codes, prior, *_: looked_at.update(locals()))
    observer = LatentSpace(every=1)
    observer.run, observer.batch = SimpleNamespace(system=system), system.dataset.load(system.device).first(2000)
    observer.draw(tmp_path / "a.png", 0)
    assert looked_at["codes"].square().mean().item() == pytest.approx(1, abs=0.02)
    system.networks["encoder"] = Posteriors(lambda x: [torch.randn_like(x)] * 2)  # which does not look at x
    observer.draw(tmp_path / "a.png", 0)
    between = (looked_at["codes"] * looked_at["prior"]).mean().item()
    assert between == pytest.approx(0, abs=0.02)  # six standard errors


class Posteriors(torch.nn.Module):
    """An encoder.

    Args:
        of: data → codes and their means.
    """

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, x):
        return Posterior(*self.of(x))


@pytest.mark.parametrize("kind", ["Reconstructions", "LatentSpace", "Interpolations", "Attributes"])
def test_games_without_an_encoder_are_refused(gan_run, kind):
    every = "" if kind == "Attributes" else ", every: 1"
    code, _, err = gan_run(*TINY_RUN, f"+observer.looking={{_target_: gan_runner.observers.encodings.{kind}{every}}}")
    assert code == 2
    assert "observer.looking: it needs codes of data, and GAN has no encoder; choose a game with an encoder" in err


def test_bad_numbers_are_refused():
    for make, message in (
        (lambda: Reconstructions(every=1, images=0), "images must be at least 1, not 0"),
        (lambda: LatentSpace(every=1, codes=1), "codes=1 must be at least 2"),
        (lambda: Interpolations(every=1, columns=1), "columns=1 must be at least 2"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_a_cell_without_an_encoder_is_not_looked_at(hydra_config):
    config = hydra_config("game=autoencoding", "encoder=none", "likelihood=[synthetic]", "prior=none")
    assert not set(KINDS) & set(config.observer)
    assert set(KINDS) <= set(hydra_config("game=ali").observer)


def test_of_one_image_there_is_no_way_to_another(gan_run, tmp_path):
    code, _, err = gan_run(*OPTIONS, "dataset.held_out=1")
    assert code == 0, err
    assert list((tmp_path / "run/samples").glob("reconstructions_*"))
    assert not list((tmp_path / "run/samples").glob("interpolations_*"))


def test_what_follows_the_last_checkpoint_is_saved_when_a_picture_fails(gan_run, tmp_path, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError("no picture")

    monkeypatch.setattr(encodings, "draw_pairs", fail)
    code, _, err = gan_run(*OPTIONS, "trainer.checkpoint_every=0")
    assert code == 1
    assert err.endswith("gan-run: ZeroDivisionError: no picture\n")
    assert load_checkpoint(tmp_path / "run/checkpoints/last.pt")["step"] == 1
