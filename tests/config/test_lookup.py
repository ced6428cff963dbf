"""What is suggested for first guesses: names of other tools and papers, without a knob's section, in another group."""

import pytest

from gan_runner.cli import mistakes
from gan_runner.config.comments import names_of, root_knobs
from gan_runner.config.lookup import known_knobs, owners_of, suggested_knob, suggested_option

EVERY_RUN = ["dataset", "loss", "model", "optimizer", "seed", "seeds", "trainer"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    {
        "lr": "optimizer.lr or extractor.lr",
        "learning_rate": "optimizer.lr",
        "trainer.lr": "optimizer.lr or extractor.lr",
        "batch_size": "trainer.batch_size",
        "steps": "trainer.steps",
        "epochs": "trainer.steps",
        "trainer.epochs": "trainer.steps",
        "trainer.num_epochs": "trainer.steps",
        "trainer.max_steps": "trainer.steps",
        "device": "trainer.device",
        "gpus": "trainer.device",
        "amp": "trainer.precision",
        "image_size": "dataset.image_size",
        "num_workers": "dataset.workers",
        "z_dim": "model.latent.dim",
        "latent_dim": "model.latent.dim",
        "beta1": "optimizer.betas",
        "n_critic": "players.discriminator.updates",
        "wandb": "logger.mode",
        "width": "model.discriminator.width or model.generator.width",
        "sead": "seed",
        "trainer.stepz": "trainer.steps",
    }.items(),
)
def test_a_knob_is_found_by_its_last_name_and_by_its_description(typed, meant):
    family, _, word = typed.rpartition(".")
    siblings = [knob.key[8:] for knob in root_knobs() if knob.key.startswith("trainer.")] if family else EVERY_RUN
    assert suggested_knob(word, siblings, family).startswith(f"; did you mean {meant}")


@pytest.mark.parametrize(
    ("group", "typed", "meant"),
    [
        ("loss", "bce", "non_saturating"),
        ("loss", "vanilla", "non_saturating"),
        ("loss", "mse", "lsgan"),
        ("loss", "wasserstein", "wgan"),
        ("loss", "WGAN", "wgan"),
        ("loss", "wgan-gp", "wgan_gp"),
        ("loss", "hing", "hinge"),
        ("loss", "vae_gan", "game=vae_gan"),
        ("model", "wgan_gp", "loss=wgan_gp"),
        ("metric", "fid", "frechet_distance"),
        ("metric", "kid", "kernel_distance"),
        ("metric", "inception_score", "classifier_score"),
        ("regularizer", "gp", "gradient_penalty"),
        ("game", "cgan", "conditional"),
        ("dataset", "CIFAR10", "cifar10"),
        ("experiment", "gulrajani2017/8gaussian", "gulrajani2017/8gaussians"),
        ("experiment", "8gaussians", "gulrajani2017/8gaussians"),
    ],
)
def test_an_option_is_found_by_its_description_and_in_other_groups(group, typed, meant):
    found = suggested_option(group, typed, names_of(group))
    assert found.startswith((f"; did you mean {meant}?", f"; did you mean {meant} or "))


def test_what_nothing_resembles_is_answered_by_the_list():
    assert suggested_knob("qqq", EVERY_RUN) == f"; choose from {', '.join(EVERY_RUN)}"
    assert suggested_option("play", "qqq", names_of("play")).startswith("; choose from alternating, ")


def test_a_knob_of_other_options_is_answered_by_their_names():
    assert owners_of("metric.mode_coverage") == "metric=mode_coverage"
    assert owners_of("extractor.weights") == "extractor=inception | torchvision"
    assert owners_of("trainer.device") == ""
    assert suggested_knob("decay", ["weight"], "regularizer.ema").endswith("; it belongs to regularizer=ema")


def test_no_knob_is_known_that_no_file_has():
    knobs = known_knobs()
    assert next(iter(knobs)) == root_knobs()[0].key
    assert all(owned.owners or owned.knob in root_knobs() for one in knobs.values() for owned in one)


def test_plugins_of_hydra_are_named_with_the_line_that_installs_them():
    assert mistakes.not_installed("hydra/launcher", "submitit_slurm").endswith("pip install 'gan-runner[submitit]'")
    assert mistakes.not_installed("hydra/launcher", "joblib").endswith("pip install 'gan-runner[joblib]'")
    assert mistakes.not_installed("hydra/sweeper", "nevergrad").endswith("pip install hydra-nevergrad-sweeper")
    assert mistakes.not_installed("hydra/launcher", "jobilb") == ""
