"""Tests that need a GPU: `CUDA_VISIBLE_DEVICES=0 pytest -m gpu --dist worksteal`."""

import gc
import itertools
import json
import os
import signal

import pytest
import torch
from combinations import overrides
from conftest import names_in
from methods import METHODS, Drawn, batches_in, name_of, some_steps
from tiny_runs import RESUMED, TINY_RUN, assert_equal, outcome
from torch._dynamo.utils import counters

from gan_runner.datasets.images import prefetch_to_gpu
from gan_runner.tools.precision import prepare_device
from gan_runner.train import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU, named by CUDA_VISIBLE_DEVICES"),
]
ON_GPU = "trainer.device=cuda"


def prepared_on_gpu(make_system, method, *more):
    """A system of a method on the GPU, initialised from data, and an endless repetition of one batch."""
    system = make_system(*overrides(*method), ON_GPU, *more)
    batch = next(batches_in(torch.float32, system))
    system.game.prepare(system.networks, Drawn(batch), 8)
    return system, itertools.repeat(batch)


@pytest.fixture
def _no_waiting():
    """Restore the default after a test that makes synchronisation an error."""
    yield
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.usefixtures("_no_waiting")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("method", METHODS, ids=name_of)
def test_step_does_not_synchronise_with_the_gpu(make_system, method, precision):
    system, batches = prepared_on_gpu(make_system, method, f"trainer.precision={precision}")
    system.step(batches)  # creates the state of optimizers
    torch.cuda.set_sync_debug_mode("error")
    report = system.step(batches)
    torch.cuda.set_sync_debug_mode("default")
    assert all(value.isfinite().all() for value in report.values()), report


@pytest.mark.usefixtures("_no_waiting")
def test_synchronisation_is_detected():
    torch.cuda.set_sync_debug_mode("error")
    with pytest.raises(RuntimeError, match="synchroniz"):
        torch.ones(1, device="cuda").item()


def assert_captured_equals_eager(make_system, method, compiled, **options):
    on_gpu = {"optimizer": ("optimizer=sgd", "optimizer.lr=1e-3", ON_GPU), "steps": 8}
    eager, eager_reports = some_steps(make_system, method, **on_gpu)
    counters.clear()
    state, reports = some_steps(make_system, method, compiled, **on_gpu, **options)
    assert counters["inductor"]["cudagraph_skips"] == 0
    for name, value in eager.items():
        assert torch.allclose(state[name], value, rtol=1e-7, atol=1e-9), name
    for name, value in eager_reports[-1].items():
        torch.testing.assert_close(reports[-1][name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", METHODS, ids=name_of)
@pytest.mark.parametrize("compiled", ["moves", "iteration"])
def test_step_captured_as_cuda_graphs_equals_eager(make_system, method, compiled):
    """Test CUDA graphs of the traced step, without Inductor."""
    assert_captured_equals_eager(make_system, method, compiled, backend="cudagraphs")


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", METHODS[::6], ids=name_of)
@pytest.mark.parametrize("compiled", ["moves", "iteration"])
def test_step_compiled_by_inductor_and_captured_equals_eager(make_system, method, compiled):
    options = {"fallback_random": True, "triton.cudagraphs": True}  # draws the same random numbers as eager
    with torch._inductor.config.patch(options):
        assert_captured_equals_eager(make_system, method, compiled, backend="inductor")


SMALL = [*TINY_RUN, ON_GPU, "trainer.steps=7", "trainer.sample_every=3"]


@pytest.mark.parametrize("compiled", ["false", "true", "iteration"])
@pytest.mark.parametrize("method", RESUMED)
def test_resumed_run_equals_an_uninterrupted_run_bit_for_bit(gan_run, tmp_path, monkeypatch, method, compiled):
    options = [*SMALL, *RESUMED[method], f"trainer.compile={compiled}", "trainer.deterministic=true"]
    code, _, err = gan_run(*options, "hydra.run.dir=whole")
    assert code == 0, err

    observe = Trainer.observe

    def stopping(trainer, event):
        if event.step == 4:
            os.kill(os.getpid(), signal.SIGTERM)  # obeyed after the next step
        observe(trainer, event)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "observe", stopping)
        assert gan_run(*options, "hydra.run.dir=parts")[0] == 128 + signal.SIGTERM
    code, _, err = gan_run("resume=parts")
    assert code == 0, err
    assert_equal(*(outcome(tmp_path / name)["checkpoints"]["last.pt"] for name in ("parts", "whole")))


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
@pytest.mark.parametrize("compiled", ["false", "true", "iteration"])
@pytest.mark.parametrize("model", ["mlp", "dcgan", "resnet"])
def test_run_in_any_precision_ends_finite(gan_run, tmp_path, model, compiled, precision):
    if (compiled, precision) == ("iteration", "fp16"):
        pytest.skip("fp16 skips steps whose gradients overflow, and a compiled iteration cannot skip a step")
    options = [f"trainer.compile={compiled}", f"trainer.precision={precision}", "trainer.steps=20", "dataset=digits"]
    code, out, err = gan_run(f"model={model}", ON_GPU, *options, "hydra.run.dir=run", "logger.mode=disabled")
    assert code == 0, err
    assert "not compiled" not in out + err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (summary["status"], summary["step"]) == ("completed", 20)
    assert summary["peak_memory_gb"] > 0


ELSEWHERE = ("bilinear", "maximum_likelihood", "moment_matching", "moment_matching_codes", "text_to_image")
"""Games that need another loss, model or dataset than the default."""


@pytest.mark.parametrize("game", sorted({*names_in("game")} - {*ELSEWHERE}))
def test_every_game_runs_compiled_by_default(gan_run, tmp_path, game):
    code, out, err = gan_run(
        *(f"game={game}", ON_GPU, "dataset=digits", "trainer.steps=12", "trainer.log_every=6"),
        *("trainer.sample_every=12", "hydra.run.dir=run", "logger.mode=disabled"),
    )
    assert code == 0, err
    assert "not compiled" not in out + err


def test_a_run_of_the_gpu_gives_the_same_samples_on_a_cpu(gan_run, tmp_path, make_system):
    code, _, err = gan_run(*SMALL, "hydra.run.dir=run")
    assert code == 0, err
    state = torch.load(tmp_path / "run" / "checkpoints" / "last.pt", weights_only=True)["system"]
    samples = []
    for device in ("cpu", "cuda"):
        options = [option for option in SMALL if not option.startswith(("logger", ON_GPU))]
        system = make_system(*options, f"trainer.device={device}")
        system.load_state_dict(state)
        samples.append(system.sample(system.noise(16, 0)).cpu())
    torch.testing.assert_close(*samples, rtol=1e-4, atol=1e-5)


def test_prefetched_batches_equal_those_of_the_loader():
    batches = [(torch.full((512, 512), float(i)), torch.full((512,), i)) for i in range(64)]
    pinned = ((images.pin_memory(), labels.pin_memory()) for images, labels in itertools.cycle(batches))
    for (images, labels), copied in zip(batches, prefetch_to_gpu(pinned, torch.device("cuda"))):
        waste = torch.randn(512, 512, device="cuda") @ torch.randn(512, 512, device="cuda")
        torch.testing.assert_close(copied[0].cpu() + 0 * waste.cpu(), images)
        assert torch.equal(copied[1].cpu(), labels)


def test_memory_does_not_grow(make_system):
    method = ("dcgan", "wgan_gp", "historical_averaging", "image")
    system, batches = prepared_on_gpu(make_system, method)
    used = []
    for _ in range(8):
        for _ in range(10):
            system.step(batches)
        gc.collect()
        used.append(torch.cuda.memory_allocated())
    assert used[3] == used[-1], used


def test_only_tf32_rounds_matrix_products():
    x = torch.randn(256, 256, dtype=torch.float64, device="cuda")
    errors = {}
    for precision in ("fp32", "tf32"):
        prepare_device(torch.device("cuda"), precision)
        errors[precision] = float((x.float() @ x.float() - x @ x).abs().max() / (x @ x).abs().max())
    prepare_device(torch.device("cuda"), "fp32")
    assert errors["fp32"] < 1e-6
    assert 1e-5 < errors["tf32"] < 1e-2


def test_too_little_memory_ends_in_one_line(gan_run):
    code, _, err = gan_run(*SMALL, "trainer.batch_size=20000000", "model.generator.width=4096")
    assert code == 1
    assert "Traceback" not in err
    assert "gan-run: there is not enough memory (" in err
