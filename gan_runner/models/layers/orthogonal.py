"""Weights with orthonormal rows or columns."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Orthogonal(nn.Module):
    """A weight → the matrix with orthonormal rows (if it is wide) or columns (if it is tall) that QR makes of it.

    Every singular value is one, so a linear layer neither stretches nor, on the span of its rows, shrinks
    (critics of such layers: Anil et al. 2019, arXiv:1811.05381, who find the matrix by Björck's iteration). A
    convolution, as a matrix on its patches, stretches by at most √(patches a pixel lies in): 2 for a kernel of
    4 at stride 2. QR with R's diagonal kept positive is Gram–Schmidt, and smooth where the weight has full rank.

    Unlike `torch.nn.utils.parametrizations.orthogonal` its graph does not grow with the matrix (Householder's
    is unrolled, a reflection at a time), it traces under `torch.compile` (the matrix exponential does not), and
    no weight decay or clipping can break it: only the direction of the weight's columns counts.

    Args:
        dim: of the weight, in which its outputs are; all others together are the inputs.
    """

    def __init__(self, dim: int = 0):
        super().__init__()
        self.dim = dim

    def forward(self, weight: Tensor) -> Tensor:
        """The orthonormal weight, of the same shape."""
        outputs_first = weight.transpose(0, self.dim)
        matrix = outputs_first.flatten(1)
        tall = matrix.shape[0] >= matrix.shape[1]
        q, r = torch.linalg.qr(matrix if tall else matrix.mT)
        q = q * torch.where(r.diagonal() < 0, -1, 1)
        return (q if tall else q.mT).reshape(outputs_first.shape).transpose(0, self.dim)

    @torch.no_grad()
    def right_inverse(self, weight: Tensor) -> Tensor:
        """Training starts at the orthonormal weight, so that the optimizer's first steps are of its size."""
        return self(weight)
