"""Compiled, every method ends with the parameters that it ends with eagerly."""

import copy
import logging

import pytest
import torch
from combinations import overrides
from conftest import names_in
from methods import QUICKEST, SCHEDULED, SGD, SPARE_LAYER, batches_of, name_of, slow_unless, some_steps
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.backends.cudagraphs import find_input_mutations

from gan_runner.compile import compile_iteration, compile_moves, eager_fallback, full_graph, layout, options_for
from gan_runner.players import match_strides
from gan_runner.step import batches_per_step


def assert_compiled_equals_eager(make_system, method, compiled, **options):
    eager, eager_reports = some_steps(make_system, method, **options)
    state, reports = some_steps(make_system, method, compiled, **options)
    for name, value in eager.items():
        assert torch.allclose(state[name], value, rtol=1e-7, atol=1e-9), name
    for name, value in eager_reports[-1].items():
        torch.testing.assert_close(reports[-1][name], value, rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", slow_unless(QUICKEST))
def test_compiled_moves_update_as_eager_ones_do(make_system, method):
    assert_compiled_equals_eager(make_system, method, "moves")


QUICKLY_COMPILED = [
    ("mlp", "wgan_gp", "ema", "points", *SCHEDULED),
    ("mlp", "non_saturating", None, "points", "game=vae"),
]


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("method", slow_unless(QUICKLY_COMPILED))
def test_compiled_iteration_updates_as_an_eager_one_does(make_system, method):
    assert_compiled_equals_eager(make_system, method, "iteration")


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    "optimizer",
    [pytest.param(name, marks=pytest.mark.slow) for name in names_in("optimizer")],  # one is compiled further down
)
def test_compiled_iteration_descends_by_every_optimizer(make_system, optimizer):
    method = ("mlp", "non_saturating", "ema", "points", "scheduler=cosine")
    options = (f"optimizer={optimizer}", "optimizer.lr=1e-3", "trainer.steps=4")
    assert_compiled_equals_eager(make_system, method, "iteration", optimizer=options)


@pytest.mark.usefixtures("_float64")
def test_inductor_compiles_moves_that_update_as_eager_ones_do(make_system):
    with torch._inductor.config.patch(fallback_random=True):  # otherwise it draws other random numbers
        method = ("mlp", "non_saturating", "gradient_penalty", "points")
        assert_compiled_equals_eager(make_system, method, "moves", backend="inductor")


@pytest.mark.slow
@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize(
    "method",
    [
        ("mlp", "non_saturating", "gradient_penalty", "points"),
        ("mlp", "wgan", "historical_averaging", "points"),
        ("dcgan", "lsgan", "minibatch_discrimination", "image"),
        ("dcgan", "hinge", "spectral_norm", "image"),
        ("dcgan", "hinge", "orthogonal", "image"),
        ("dcgan", "non_saturating", "ada,r1", "image"),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("compiled", ["moves", "iteration"])
def test_inductor_updates_as_eager_does(make_system, method, compiled):
    with torch._inductor.config.patch(fallback_random=True):  # otherwise it draws other random numbers
        assert_compiled_equals_eager(make_system, method, compiled, backend="inductor")


def counting(turn, calls=[0]):  # noqa: B006  (what a term of somebody's own might do)
    calls[0] += 1
    return calls[0] * turn.fake.square().mean()


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("compiled", ["moves", pytest.param("iteration", marks=pytest.mark.slow)])
def test_a_term_that_counts_in_python_is_not_frozen_unseen(make_system, compiled):
    method, ends = ("mlp", "lsgan", None, "points"), []

    def with_counter(*options):
        system = make_system(*options)
        generator, calls = system.players[1], [0]
        generator.terms = {**generator.terms, "counting": lambda turn: counting(turn, calls)}
        generator.weights = {**generator.weights, "counting": 1.0}
        return system

    for way in (None, compiled):
        ends.append(some_steps(with_counter, method, way, "eager")[1][-1]["generator/counting"])
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-9)


def test_what_cannot_be_compiled_goes_on_eagerly_after_one_line(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("gan_runner"), "propagate", True)  # a run keeps its lines to itself

    def breaks(x):
        return 2 * x if x.sum() > 0 else x

    function = eager_fallback(full_graph(breaks, backend="aot_eager"), breaks)
    with caplog.at_level("WARNING", logger="gan_runner"):
        assert [function(torch.ones(2)).tolist() for _ in range(2)] == [[2.0, 2.0], [2.0, 2.0]]
    (line,) = set(caplog.messages)  # seen by two handlers, if the logger has one of its own
    assert line.startswith("torch.compile failed, so training runs uncompiled and slower: ")
    assert "\n" not in line


def test_batches_of_a_step_are_counted(make_system):
    for play, expected in {"alternating": 5, "simultaneous": 5, "extragradient": 6}.items():
        system = make_system("dataset=ring8", "model=mlp", "loss=wgan", f"play={play}")
        assert batches_per_step(system.update_scheme, system.players) == expected


def test_gradients_get_the_layout_of_their_parameters():
    parameter = torch.zeros(4, 3, 2, 2)
    gradient = torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last)
    laid_out = match_strides(parameter, gradient)
    assert laid_out.stride() == parameter.stride()
    assert torch.equal(laid_out, gradient)
    assert match_strides(parameter, laid_out) is laid_out


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_fused_optimizers_step_as_plain_ones_whatever_the_layout(make_system, optimizer):
    """torch's fused CPU kernels take parameter and gradient for flat memory, and say nothing where they differ."""
    ends = []
    for fused in ("true", "false"):
        options = ("model=dcgan", f"optimizer={optimizer}", f"+optimizer.fused={fused}", "optimizer.lr=0.1")
        player = make_system(*options).players[0]
        draw = torch.Generator().manual_seed(0)
        for _ in range(2):
            gradients = [torch.randn(p.shape, generator=draw) for p in player.parameters]
            player.step([g.to(memory_format=torch.channels_last) if g.dim() == 4 else g for g in gradients])
        ends.append(torch.cat([p.detach().flatten() for p in player.parameters]))
    torch.testing.assert_close(*ends, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("_float64")
@pytest.mark.parametrize("compiled", [None, "moves", "iteration"])
def test_a_layer_that_no_loss_depends_on_is_left_alone(make_system, compiled):
    """Neither weight decay moves it nor does Adam count steps for it; everything else moves as without it."""
    method = ("mlp", "lsgan", None, "points")
    options = ("optimizer._target_=torch.optim.AdamW", "optimizer.weight_decay=0.1", "optimizer.lr=1e-3")
    spared = (*method, *SPARE_LAYER)
    start, state = (some_steps(make_system, spared, compiled, "eager", options, steps)[0] for steps in (0, 4))
    for name in ("weight", "bias"):
        assert torch.equal(state[f"generator.spare.{name}"], start[f"generator.spare.{name}"])
    expected, _ = some_steps(make_system, method, optimizer=options, steps=4)
    for name, value in expected.items():
        assert torch.allclose(state[name], value, rtol=1e-7, atol=1e-9), name


@pytest.mark.usefixtures("_float64")
def test_a_compiled_iteration_goes_on_beside_a_layer_that_no_loss_depends_on(make_system):
    options = overrides("mlp", "lsgan", None, "points", *SPARE_LAYER, *SGD)
    systems = [make_system(*options) for _ in range(2)]
    first, second = systems
    first.step(batches_of(first))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    second.update_scheme = compile_iteration(second.update_scheme, second.players, backend="eager")
    ends = []
    for system in systems:
        torch.manual_seed(1)
        system.step(batches_of(system))
        ends.append([p for player in system.players for p in player.parameters])
    for expected, found in zip(*ends):
        torch.testing.assert_close(found, expected)
    spare = second.networks["generator"].spare
    assert spare.weight.grad is None
    assert spare.weight not in second.players[1].optimizer.state


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_a_rate_of_zero_leaves_weights_that_nothing_reaches_as_they_are(make_system, optimizer):
    options = (f"optimizer={optimizer}", "optimizer.lr=0.0")
    state = some_steps(
        make_system, ("mlp", "wgan_gp", None, "points"), "iteration", "eager", options, dtype=torch.float32
    )
    assert all(value.isfinite().all() for value in state[0].values())


class Counter(torch.nn.Module):
    """A term with a number in Python, which a graph takes for a constant, and asks after at every call."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, turn):
        self.calls += 1
        return (self.calls if self.calls > 12 else 1) * turn.fake.square().mean()


def test_what_changes_at_every_call_goes_on_eagerly(make_system):
    ends = []
    for compiled in (False, True):
        system = make_system(*overrides("mlp", "lsgan", None, "points"))
        generator, batches = system.players[1], batches_of(system)
        generator.terms, generator.weights = {**generator.terms, "late": Counter()}, {**generator.weights, "late": 1.0}
        if compiled:
            system.update_scheme = compile_moves(
                system.update_scheme, system.players, wrap=eager_fallback, backend="eager"
            )
        torch.manual_seed(0)
        ends.append([system.step(batches)["generator/late"].item() for _ in range(16)])
    assert ends[1] == pytest.approx(ends[0], rel=1e-4)


def test_an_optimizer_without_memory_is_compiled_too(make_system):
    graphs = []

    def counted(graph, inputs):
        graphs.append(graph)
        return graph

    method = ("mlp", "lsgan", None, "points")
    some_steps(
        make_system, method, "iteration", counted, ("optimizer=sgd", "optimizer.momentum=0"), dtype=torch.float32
    )
    assert len(graphs) == 1


def test_a_run_compiled_as_a_whole_goes_on_with_fused_optimizers(make_system):
    options = ("dataset=ring8", "model=mlp", "optimizer=adam")
    first, second = make_system(*options), make_system(*options)
    compile_iteration(first.update_scheme, first.players, backend="eager")
    second.load_state_dict(first.state_dict())
    assert second.players[0].optimizer.param_groups[0]["fused"]
    assert isinstance(second.players[0].optimizer.param_groups[0]["lr"], float)


@pytest.mark.parametrize(
    ("what", "device", "together"),
    [("auto", "cuda", False), (True, "cuda", False), (False, "cuda", True), ("auto", "cpu", True), (True, "cpu", True)],
)
def test_channels_lie_together_but_in_cuda_graphs(what, device, together):
    chosen = torch.channels_last if together else torch.contiguous_format
    assert layout(True, what, torch.device(device)) is chosen
    assert layout(False, what, torch.device(device)) is torch.contiguous_format


def test_on_a_gpu_what_is_compiled_is_captured_in_the_layout_that_it_has():
    assert options_for(torch.device("cuda"))["options"] == {"triton.cudagraphs": True, "layout_optimization": False}
    assert options_for(torch.device("cpu")) == {}


def held_still(graph, inputs):
    """A backend that asks what CUDA graphs do: whatever a graph writes to stays where it is."""
    held = torch._guards.TracingContext.get().fw_metadata.static_input_indices
    assert find_input_mutations(graph.graph) <= set(held)
    return graph


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(name, marks=[] if name == "optimistic_adam" else [pytest.mark.slow])
        for name in names_in("optimizer")
    ],
)
def test_graph_of_an_iteration_writes_to_nothing_that_moves(make_system, optimizer):
    backend = aot_autograd(fw_compiler=held_still, keep_inference_input_mutations=True)
    small = ("mlp", "non_saturating", "ema", "points", "model.generator.norm=batch")
    method = ("dcgan", "non_saturating", "ema", "image") if optimizer == "adam" else small
    options = (f"optimizer={optimizer}", "optimizer.lr=1e-3")
    some_steps(make_system, method, "iteration", backend, options, steps=3, dtype=torch.float32)
