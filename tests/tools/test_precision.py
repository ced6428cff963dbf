"""Half precision: where it is used, and where it is not."""

import json

import pytest
import torch
from combinations import overrides
from methods import OF_EACH_MECHANISM, batches_of, prepared, slow_unless
from torch import nn

from gan_runner.compile import compile_moves


def dtypes_of(system, network, kind):
    """What the layers of one kind of a network put out in one step."""
    seen = set()
    for module in system.networks[network].modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    system.step(batches_of(system))
    return seen


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
@pytest.mark.parametrize(("model", "kind"), [("mlp", nn.Linear), ("dcgan", nn.Conv2d)])
def test_layers_multiply_in_half_precision_and_all_else_is_in_full_precision(
    make_system, precision, dtype, model, kind
):
    method = (model, "non_saturating", None, "image" if model == "dcgan" else "points")
    system = prepared(make_system(*overrides(*method), precision=precision))
    turns = []
    for player in system.players:
        term = player.terms["adversarial"]
        player.terms["adversarial"] = lambda turn, term=term: turns.append(turn) or term(turn)
    assert dtypes_of(system, "discriminator", kind) == {dtype}
    shown = [turns[0].real_scores, turns[0].fake_scores, turns[0].real_features, turns[1].fake]
    gradients = [p.grad for player in system.players for p in player.parameters]
    assert {x.dtype for x in [*shown, *gradients]} == {torch.float32}


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
def test_layers_multiply_in_full_precision_otherwise(make_system, precision):
    system = prepared(make_system(*overrides("mlp", "lsgan", None, "points"), precision=precision))
    assert dtypes_of(system, "discriminator", nn.Linear) == {torch.float32}


@pytest.mark.parametrize("penalty", ["r1", "dragan"])
def test_penalties_equal_those_of_full_precision_bit_for_bit(make_system, penalty):
    values = {}
    for precision in ("fp32", "bf16"):
        system = prepared(make_system(*overrides("mlp", "non_saturating", penalty, "points"), precision=precision))
        torch.manual_seed(0)
        values[precision] = system.players[0].move(next(batches_of(system)))[0]
    assert values["fp32"][penalty] == values["bf16"][penalty]
    assert values["fp32"]["adversarial"] != values["bf16"]["adversarial"]


@pytest.mark.parametrize("method", slow_unless(OF_EACH_MECHANISM))
def test_every_method_steps_in_bf16_near_full_precision(make_system, method):
    reports = {}
    for precision in ("fp32", "bf16"):
        system = prepared(make_system(*overrides(*method), precision=precision))
        torch.manual_seed(0)
        reports[precision] = system.step(batches_of(system))
    for name, value in reports["fp32"].items():
        assert reports["bf16"][name].dtype == value.dtype
        assert torch.allclose(reports["bf16"][name], value, rtol=0.1, atol=0.1 * (1 + value.abs().max().item())), name


def test_compiled_bf16_equals_eager_bf16_up_to_rounding(make_system):
    moves = []
    for compiled in (False, True):
        torch.compiler.reset()
        system = prepared(make_system(*overrides("mlp", "wgan_gp", None, "points"), "trainer.precision=bf16"))
        if compiled:
            compile_moves(system.update_scheme, system.players, backend="aot_eager")
        torch.manual_seed(0)
        moves.append(system.players[0].move(next(batches_of(system))))
    (seen, eager), (seen_compiled, graph) = moves
    assert all(torch.equal(seen[name], seen_compiled[name]) for name in seen)
    for expected, found in zip(eager, graph):  # sums of products that are rounded to 8 bits, in another order
        assert (found - expected).abs().max() <= 2**-7 * expected.abs().max()


def test_a_step_that_overflows_is_skipped_and_the_scale_halved(make_system):
    system = prepared(make_system(*overrides("mlp", "lsgan", None, "points"), "trainer.precision=fp16"))
    player = system.players[0]
    scale, before = player.loss_scale.item(), [p.clone() for p in player.parameters]
    player.step([torch.full_like(p, torch.inf) for p in player.parameters])
    assert all(torch.equal(p, q) for p, q in zip(player.parameters, before))
    assert player.loss_scale.item() == scale / 2
    player.step([torch.full_like(p, player.loss_scale.item()) for p in player.parameters])
    assert not any(torch.equal(p, q) for p, q in zip(player.parameters, before))
    assert all(p.grad.eq(1).all() for p in player.parameters)  # as they are logged: of the loss itself


def test_the_scale_is_saved(make_system):
    options = [*overrides("mlp", "lsgan", None, "points"), "trainer.precision=fp16"]
    first, second = (make_system(*options).players[0] for _ in range(2))
    first.step([torch.full_like(p, torch.inf) for p in first.parameters])
    second.load_state_dict(first.state_dict())
    assert second.loss_scale == first.loss_scale


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_run_in_half_precision_resumes(gan_run, tmp_path, precision):
    small = ["experiment=smoke", "logger.mode=disabled", "trainer.steps=4", f"trainer.precision={precision}"]
    assert gan_run(*small, "hydra.run.dir=run")[0] == 0
    assert gan_run("resume=run", "trainer.steps=6")[0] == 0
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert (summary["status"], summary["step"]) == ("completed", 6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["trainer.precision=fp8"], "trainer.precision=fp8 is not an option"),
        (["trainer.precision=fp16", "trainer.compile=iteration"], "choose trainer.compile=true"),
        (["trainer.compile=never"], "trainer.compile=never is not an option"),
    ],
)
def test_unknown_precisions_are_refused(gan_run, options, message):
    code, _, err = gan_run("experiment=smoke", *options)
    assert code == 2
    assert message in err
