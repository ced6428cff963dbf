"""Attribute vectors: the mean code of data with an attribute minus the mean code of data without it.

Added to the code of a sample, the vector adds the attribute (Radford et al. 2016, arXiv:1511.06434, Section 6.3.2;
Larsen et al. 2016, arXiv:1512.09300, Section 4.1.2). The means are saved in checkpoints.
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
"""Samples encoded at a time."""


def first_batches(data: Data, n: int) -> Iterator[Batch]:
    """Yield at most n samples with labels, each once, in a fixed order."""
    left = min(n, len(data)) if isinstance(data, Sized) else n
    batches = data.stream(0, CHUNK, seed=0)
    while left > 0:
        yield {name: part[:left] for name, part in next(batches).items()}
        left -= CHUNK


@torch.no_grad()
def code_means(system: System, labels: Labels, data: Data, n: int) -> dict[str, Tensor]:
    """Return the mean codes of data with and without each attribute or class.

    Args:
        system: a trained system with an encoder.
        labels: the meaning of the labels.
        data: labelled data.
        n: maximal number of samples. Samples without a class are skipped.

    Returns:
        `present` and `absent` (k, latent_dim), NaN if there is no such sample; `count` (k,), the number of samples with
        the attribute; `of` (), the number of all samples.
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
    """Return the mean code with an attribute minus the mean code without it: (latent_dim,).

    Raises:
        ValueError: the attribute does not exist, or all or none of the samples have it.
    """
    place = labels.index_of(name)
    vector = means["present"][place] - means["absent"][place]
    if vector.isnan().any():
        how_many = "none" if means["count"][place] == 0 else "all"
        raise ValueError(f"{how_many} of the {means['of']:,} encoded training samples have {name!r}")
    return vector
