"""Weights with orthonormal rows or columns."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan_runner.tools.formulas import formula


@formula("W ← Q of W = QR, all singular values 1")
class Orthogonal(nn.Module):
    """A weight → a weight with orthonormal rows (if it is wide) or columns (if it is tall), by QR decomposition.

    All singular values are one, so a linear layer is 1-Lipschitz and preserves norms on the span of its rows (Anil et
    al. 2019, arXiv:1811.05381, train such critics with Björck's iteration). A convolution is a matrix on patches; its
    Lipschitz constant is at most √(number of patches that contain a pixel), 2 for a kernel of 4 at stride 2. QR with a
    positive diagonal of R is Gram–Schmidt, which is smooth where the weight has full rank.

    Unlike `torch.nn.utils.parametrizations.orthogonal` its graph does not grow with the matrix (Householder reflections
    are unrolled one by one), it works with `torch.compile` (the matrix exponential does not), and weight decay and
    clipping do not break it, since only the directions of the columns matter.

    Args:
        dim: dimension of the outputs in the weight; all others together are the inputs.
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
        """The initial parameter: the orthonormal weight, so that the optimizer's first steps have the right size."""
        return self(weight)
