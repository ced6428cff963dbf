"""A network in a few lines: its layers with their sizes, its parameters, and the formulas of its layers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from gan_runner.tools.formulas import Symbols, formula_of, write

LONGEST = 400
"""The number of characters of a network's layers, about four lines; the number of the others is shown."""


def network_lines(name: str, network: nn.Module, condition: str = "y") -> Iterator[str]:
    """A network's layers and size, and the formulas of its layers, with the symbol of their condition."""
    size = sum(parameter.numel() for parameter in network.parameters())
    layers = ", ".join(layers_of(network)).replace(", +", " +").removeprefix("+").split(", ")
    shown = shortened(repeated(layers)) or type(network).__name__
    yield f"{name}: {shown}; {size:,} parameter{'s' * (size != 1)}"
    inner = [module for module in network.modules() if module is not network and formula_of(module)]
    symbols = Symbols(condition=condition)
    yield from dict.fromkeys(f"in {name}: {layer_name(module)}{write(module, symbols)}" for module in inner)


def layer_name(module: nn.Module) -> str:
    """`BatchNorm: `; of torch's private classes nothing."""
    name = re.sub("[12]d$", "", type(module).__name__)
    return "" if name.startswith("_") else f"{name}: "


def layers_of(module: nn.Module) -> Iterator[str]:
    """The layers of a module, in the order in which it holds them: `Linear 2→256`, `Conv 1→32 4×4 /2`, `+ReLU`."""
    part: Any = module
    children = [child for name, child in module.named_children() if name != "parametrizations"]
    if children and (not formula_of(module) or hasattr(module, "prepare")):
        for child in children:
            yield from layers_of(child)
    elif not isinstance(module, nn.Identity | nn.Sequential | nn.Flatten | nn.Unflatten):
        name = re.sub("^Parametrized|[12]d$", "", type(module).__name__)
        sizes = [(getattr(part, f"in_{kind}", None), getattr(module, f"out_{kind}", None)) for kind in KINDS]
        shapes = [f" {before}→{after}" for before, after in sizes if before and after]
        kernel = getattr(module, "kernel_size", ())
        window = f" {'×'.join(map(str, kernel))} /{part.stride[0]}" if isinstance(kernel, tuple) and kernel else ""
        plain = next(module.parameters(), None) is None
        yield "+" * plain + name + "".join(shapes) + window


KINDS = ("features", "channels")
"""The kinds of sizes that layers have: `in_features` and `out_features`, or channels."""


def shortened(parts: Sequence[tuple[str, int]]) -> str:
    """Parts, given with their numbers of layers, in about `LONGEST` characters: `Linear 2→8 … and 12 more layers`."""
    ends = list(itertools.accumulate(len(text) + 2 for text, _ in parts))
    kept = max(1, sum(end <= LONGEST for end in ends))
    hidden = sum(layers for _, layers in parts[kept:])
    text = ", ".join(text for text, _ in parts[:kept])
    return f"{text} … and {hidden} more layer{'s' * (hidden > 1)}" if hidden else text


def repeated(layers: Sequence[str]) -> list[tuple[str, int]]:
    """Layers with runs of the same ones taken together: `(Linear 256→256 ReLU) ×2`, and how many layers these are."""
    shown, place = [], 0
    while place < len(layers):
        length, count = max(((n, runs(layers, place, n)) for n in range(1, 7)), key=lambda run: run[0] * (run[1] - 1))
        group = ", ".join(layers[place : place + length])
        size = length + group.count(" +")
        text = group.replace(" +", " ")
        shown.append((text if count == 1 else f"({text}) ×{count}" if size > 1 else f"{text} ×{count}", size * count))
        place += length * count if count > 1 else 1
    return shown


def runs(layers: Sequence[str], place: int, length: int) -> int:
    """The number of times that the layers from a place on repeat without a gap."""
    count = 1
    while layers[place : place + length] == layers[place + count * length : place + (count + 1) * length]:
        count += 1
    return count if length <= len(layers) - place else 1
