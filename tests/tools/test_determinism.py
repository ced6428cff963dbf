"""`trainer.deterministic=true`: on while a run goes on, off before and after; what cannot be so is refused by name."""

import os

import pytest
import torch
from tiny_runs import TINY_RUN, assert_equal, outcome

import gan_runner.train
from gan_runner.errors import ConfigError
from gan_runner.tools.determinism import WORKSPACE, deterministic
from gan_runner.tools.precision import prepare_device

LINE = [*TINY_RUN, "trainer.sample_every=2", "model.latent.dim=2", "dataset=digits"]


def switches():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        os.environ.get(WORKSPACE),
    )


@pytest.fixture
def in_step(monkeypatch):
    """Do something in every step."""
    build_system = gan_runner.train.build_system

    def arrange(action):
        def building(config):
            system = build_system(config)
            play = system.update_scheme
            system.update_scheme = lambda *arguments: (action(), play(*arguments))[1]
            return system

        monkeypatch.setattr(gan_runner.train, "build_system", building)

    return arrange


def unpool():
    """Where windows overlap, the last one to write wins."""
    return torch.nn.functional.max_unpool2d(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1, dtype=torch.long), 2)


def test_same_seed_gives_the_same_run_and_another_seed_another(gan_run, tmp_path):
    for name, *more in (("one",), ("two",), ("other", "seed=1"), ("repeated", "trainer.deterministic=true")):
        assert gan_run(*LINE, f"hydra.run.dir={name}", *more)[0] == 0
    one, two, other, repeated = (outcome(tmp_path / name) for name in ("one", "two", "other", "repeated"))
    assert_equal(one, two)
    assert one["metrics"] != other["metrics"]
    for key in ("checkpoints", "metrics", "pictures"):
        assert_equal(repeated[key], one[key])


def test_determinism_is_on_during_a_run_and_off_afterwards(gan_run, in_step):
    before, seen = switches(), []
    in_step(lambda: seen.append(switches()))
    assert gan_run(*LINE, "trainer.deterministic=true")[0] == 0
    assert set(seen) == {(True, True, False, ":4096:8")}
    assert switches() == before
    seen.clear()
    assert gan_run(*LINE, "hydra.run.dir=other")[0] == 0
    assert set(seen) == {before}


def test_earlier_settings_are_restored_after_an_error(monkeypatch):
    monkeypatch.setenv(WORKSPACE, ":16:8")
    before = switches()
    with pytest.raises(KeyError), deterministic(True):
        raise KeyError(os.environ[WORKSPACE])
    assert switches() == before
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic(True):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


def test_convolutions_are_not_benchmarked_in_a_deterministic_run(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: None)
    for wanted in (True, False):
        with deterministic(wanted):
            prepare_device(torch.device("cuda"), "fp32")
            assert torch.backends.cudnn.benchmark is not wanted


def test_an_operation_without_deterministic_implementation_gets_one_clear_line(gan_run, in_step):
    in_step(unpool)
    code, _, err = gan_run(*LINE, "trainer.deterministic=true")
    assert code == 2
    assert err.splitlines()[-1] == (
        "gan-run: trainer.deterministic=true is not possible: max_unpooling2d_forward_out has no deterministic "
        "implementation on this device; choose trainer.device=cpu, another part, or trainer.deterministic=false"
    )
    assert "Traceback" not in err
    assert gan_run(*LINE, "hydra.run.dir=other")[0] == 0


def test_other_errors_are_unchanged():
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), deterministic(True):
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_several_seeds_in_one_process_are_deterministic_too(gan_run, monkeypatch):
    seen = []
    monkeypatch.setattr("gan_runner.multiseed.train.fit_all", lambda *_: seen.append(switches()[0]))
    assert gan_run(*LINE, "seeds=2", "trainer.deterministic=true")[0] == 0
    assert seen == [True]


def test_a_value_that_is_no_boolean_is_refused(gan_run):
    code, _, err = gan_run(*LINE, "trainer.deterministic=perhaps")
    assert code == 2
    assert "trainer.deterministic: Value 'perhaps' is not a valid bool" in err


def test_a_non_deterministic_operation_is_refused_by_name():
    with pytest.raises(ConfigError, match="max_unpooling2d_forward_out"), deterministic(True):
        unpool()
