"""Test that seeds outside the range of torch's generators are refused, and those at its ends are not."""

import pytest
import torch
from tiny_runs import TINY_RUN

from gan_runner.config.resolve import resolve
from gan_runner.config.validation import SEEDS
from gan_runner.errors import ConfigError


def test_the_range_is_that_of_torch():
    for seed in (SEEDS[0], SEEDS[-1]):
        torch.Generator().manual_seed(seed)
    for seed in (SEEDS[0] - 1, SEEDS[-1] + 1):
        with pytest.raises((RuntimeError, ValueError)):
            torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("option", ["seed", "observer.samples.seed", "observer.evaluation.seed"])
def test_a_seed_that_is_too_large_is_refused(hydra_config, option):
    config = hydra_config("experiment=smoke", f"{option}={2**64}")
    with pytest.raises(ConfigError, match=f"^{option}={2**64} is too large for a seed; choose one between -"):
        resolve(config)
    resolve(hydra_config("experiment=smoke", f"{option}={2**64 - 1}"))


def test_several_seeds_are_checked(gan_run):
    code, _, err = gan_run(*TINY_RUN, f"seeds=[0,{2**64}]")
    assert code == 2
    assert err.startswith(f"gan-run: seed={2**64} is too large for a seed")


def test_the_largest_seed_is_trained_and_measured_with(gan_run):
    code, _, err = gan_run(*TINY_RUN, f"seed={2**64 - 1}", f"observer.evaluation.seed={2**64 - 1}", "trainer.steps=2")
    assert code == 0, err
