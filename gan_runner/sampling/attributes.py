"""Attribute vectors: where codes of data that has something lie, as seen from codes of data that has it not.

Added to the code of a datum, the vector gives it the attribute (Radford et al. 2016, arXiv:1511.06434, Section 6.3.2;
Larsen et al. 2016, arXiv:1512.09300, Section 4.1.2). A run keeps the means that it is made of in its checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gan_runner.datasets.base import Data
from gan_runner.datasets.labels import Classes, Labels
from gan_runner.sampling.inference import encode
from gan_runner.turn import Batch

if TYPE_CHECKING:
    from gan_runner.system import System


CHUNK = 256
"""Data that is encoded at a time."""


def first_batches(data: Data, n: int) -> Iterator[Batch]:
    """At most n of the data with its labels, each once, in an order that is always the same."""
    left = min(n, len(data)) if isinstance(data, Sized) else n
    batches = data.stream(0, CHUNK, seed=0)
    while left > 0:
        yield {name: part[:left] for name, part in next(batches).items()}
        left -= CHUNK


@torch.no_grad()
def code_means(system: System, labels: Labels, data: Data, n: int) -> dict[str, Tensor]:
    """The mean codes of labelled data that has each attribute, or is of each class, and of all other.

    Args:
        system: what is trained, with an encoder.
        labels: what the data's labels mean.
        data: with labels.
        n: how many of it are looked at, at most. What is of no class is passed over.

    Returns:
        `present` and `absent` (k, latent_dim), NaN where there is no such datum; `count` (k,), how many have it; `of`
        (), how many were looked at.
    """
    found = []
    for number, batch in enumerate(first_batches(data, n)):
        vectors = labels.vectors(batch["label"]).double()
        codes = encode(system, batch["data"], seed=number).double()
        if isinstance(labels, Classes):
            known = vectors.any(1)
            vectors, codes = vectors[known], codes[known]
        found.append((vectors.T @ codes, vectors.sum(0), codes.sum(0), torch.tensor(len(codes))))
    sums, count, total, of = (torch.stack(each).sum(0) for each in zip(*found))
    present, absent = sums / count.unsqueeze(1), (total - sums) / (of - count).unsqueeze(1)
    means = {"present": present.float(), "absent": absent.float(), "count": count.long(), "of": of}
    return {name: value.cpu() for name, value in means.items()}


def attribute_vector(means: Mapping[str, Tensor], labels: Labels, name: str) -> Tensor:
    """The mean code of what has an attribute, less that of what has it not: (latent_dim,).

    Raises:
        ValueError: there is no such attribute, or all or none of the data had it.
    """
    place = labels.index_of(name)
    vector = means["present"][place] - means["absent"][place]
    if vector.isnan().any():
        how_many = "none" if means["count"][place] == 0 else "all"
        raise ValueError(f"{how_many} of the {means['of']:,} training samples that were looked at had {name!r}")
    return vector
