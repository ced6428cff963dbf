"""What is used of torch beyond its public interface is there and does what it is used for.

These tests hold for the versions of torch named below. Another version may pass them too: add it then; or else mend
`gan_runner/tools/torch_internals.py`, where all of it is.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd

import gan_runner
from gan_runner.tools.torch_internals import bare_step, copy_together, is_compiler_error, mark_static, trace_autograd

HOLDS_FOR = ("2.14",)


def test_the_installed_version_of_torch_is_supported():
    assert torch.__version__.startswith(tuple(f"{version}." for version in HOLDS_FOR))


def test_no_other_file_uses_the_private_interface_of_torch():
    private = re.compile(
        r"\btorch(\.\w+)*\._[a-z]|from torch[.\w]* import .*\b_[A-Za-z]|__dynamo|_opt_called|\._schema\b"
    )
    package = Path(gan_runner.__file__).parent
    files = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if private.search(path.read_text())}
    assert files == {"tools/torch_internals.py"}


def test_optimizers_are_created_saved_and_stepped_without_importing_the_compiler():
    script = """
import sys, torch
from gan_runner.optimizers.eager import eager_step
from gan_runner.tools.torch_internals import load_no_compiler
load_no_compiler()
weight = torch.ones(2, requires_grad=True)
optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
weight.grad = torch.ones(2)
eager_step(optimizer)()
optimizer.load_state_dict(optimizer.state_dict())
optimizer.zero_grad()
print("torch._dynamo" in sys.modules, weight.tolist())
"""
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("False [0.9")


def test_the_bare_step_has_no_wrappers():
    step = bare_step(torch.optim.SGD)
    assert step.__code__.co_filename == sys.modules[torch.optim.SGD.__module__].__file__
    weight = torch.ones(1, requires_grad=True)
    weight.grad = torch.ones(1)
    with torch.no_grad():
        step(torch.optim.SGD([weight], lr=0.25))
    assert weight.item() == 0.75


def test_tensors_are_copied_in_place():
    targets, sources = [torch.zeros(2), torch.zeros(3, 1)], [torch.ones(2), torch.full((3, 1), 2.0)]
    places = [target.data_ptr() for target in targets]
    copy_together(targets, sources)
    assert [target.data_ptr() for target in targets] == places
    assert all(torch.equal(target, source) for target, source in zip(targets, sources))
    copy_together([], [])


def test_a_graph_includes_second_derivatives():
    def penalty(x):
        (slope,) = torch.autograd.grad(x.pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), x)[0]

    trace_autograd()
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    graph = torch.compile(penalty, fullgraph=True, backend="aot_eager")
    assert graph(x).tolist() == pytest.approx([36.0, 36.0 * 8])  # d(9 x⁴)/dx


def test_a_graph_knows_that_a_tensor_is_static():
    held = []

    def backend(graph, inputs):
        held.extend(torch._guards.TracingContext.get().fw_metadata.static_input_indices)
        return graph

    kept = torch.zeros(2)
    mark_static(kept)
    graph = torch.compile(
        lambda x: kept.add_(x).sum(), backend=aot_autograd(fw_compiler=backend, keep_inference_input_mutations=True)
    )
    with torch.no_grad():
        graph(torch.ones(2))
    assert kept.tolist() == [1.0, 1.0]
    assert held


def test_errors_of_the_compiler_are_recognised():
    def breaks(x):
        return 2 * x if x.sum() > 0 else x

    with pytest.raises(Exception, match="branch") as caught:
        torch.compile(breaks, fullgraph=True, backend="eager")(torch.ones(2))
    assert is_compiler_error(caught.value)
    assert not is_compiler_error(RuntimeError())
