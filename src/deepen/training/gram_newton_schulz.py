"""Orthogonalize matrices by Newton-Schulz steps on their Gram matrices: in float32, or in half precision.

A Newton-Schulz step x -> f(x @ x.T) @ x multiplies x by a polynomial f of its Gram matrix. So all steps can work on
the Gram matrix, which is smaller than a wide x, and x is multiplied once, by the product of all f:
Dao-AILab/gram-newton-schulz, 2026. In half precision, rounding would change small eigenvalues, even make them
negative. Instead of starting anew from x after some steps, the Gram matrix and the product are kept in float32 here,
and a step adds to them what half-precision factors give: a small eigenvalue changes by a relative error only.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from deepen.runtime.device import permit_tf32

# The polynomials a + b * g + c * g**2 of the steps. On singular values from 0 to 1, three equal ones have the steepest
# slope at 0 of all that stay below 1 and never shrink a value to less than a tenth of that slope: rounding errors grow
# with its inverse. The last is the best approximation of 1. All bear values up to 1.01, for rounding.
_GROW, _SETTLE = (3.8766, -9.6828, 6.7182), (4.2378, -8.9397, 5.8329)
_POLYNOMIALS = (_GROW, _GROW, _GROW, _SETTLE)
_MULTIPLICATIONS = 13  # of Gram matrices, for these four steps

# In float32, the polynomial of the post on Muon: steep at 0, so that few steps suffice.
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_STEPS = 5  # in float32; `group_sizes` compares with as many steps on the matrix itself
_PADDED_SHARE = 0.4  # of the operations of these steps: padding may fill up to that
_LEAST_NORM = 1e-18  # of a Gram matrix: a matrix of zeros stays one


def orthogonalize(matrices: Tensor) -> Tensor:
    """Approximate U @ V.T of the singular value decomposition U @ S @ V.T of each of `matrices` (count, rows, columns).

    Five Newton-Schulz steps x -> (a + b * x @ x.T + c * (x @ x.T)**2) @ x move every singular value to between 0.7 and
    1.2, except for tiny fractions of the largest. The result is scaled by sqrt(rows / columns) if that is above 1.
    """
    rows, columns = matrices.shape[1:]
    x = matrices if rows <= columns else matrices.mT
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    with permit_tf32(False):
        x = _iterate_gram_matrix(x)
    return x if rows <= columns else x.mT * math.sqrt(rows / columns)


def _iterate_gram_matrix(x: Tensor) -> Tensor:
    """Multiply the factors of all steps first, which depend only on x @ x.T: fewer operations for a wide x.

    This needs float32: x @ x.T squares small values, which a coarser type, or TF32, would round away.
    """
    gram = x @ x.mT
    factors = factor = _compute_factor(gram)
    for _ in range(_STEPS - 1):
        gram = factor @ gram @ factor
        factor = _compute_factor(gram)
        factors = factor @ factors
    return factors @ x


def _compute_factor(gram: Tensor) -> Tensor:
    a, b, c = _NEWTON_SCHULZ
    factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
    factor.diagonal(dim1=1, dim2=2).add_(a)
    return factor


def orthogonalize_together(matrices: Sequence[Tensor], results: Sequence[Tensor]) -> None:
    """Write the orthogonalized `matrices` (rows, columns), in bfloat16, into `results`, in float32.

    Singular values above 0.003 of (the sum of their fourth powers)**(1/4) come to between 0.7 and 1.2, before the
    factor sqrt(rows / columns) if that is above 1. On a CUDA device nothing synchronizes.
    """
    wide = [x if x.shape[0] <= x.shape[1] else x.mT for x in matrices]
    groups = group_sizes([(x.shape[0], x.shape[1]) for x in wide])
    norms = torch.empty(len(wide), 1, 1, device=wide[0].device)
    grams = list(_multiply_transposed(wide, groups, norms))
    scales = norms.clamp_(min=_LEAST_NORM).rsqrt()
    start = 0
    for (_, indices), gram in zip(groups, grams, strict=True):
        own = slice(start, start := start + len(indices))
        factors = torch.empty_like(gram, dtype=torch.bfloat16)
        torch.mul(_compute_factors(gram, norms[own]), scales[own], out=factors)
        for index, factor in zip(indices, factors, strict=True):
            x, rows = wide[index], wide[index].shape[0]
            tall = x is not matrices[index]
            result = results[index].mT if tall else results[index]
            scale = math.sqrt(x.shape[1] / rows) if tall else 1.0
            _multiply(result[None], factor[None, :rows, :rows], x[None], beta=0.0, alpha=scale)


def _multiply_transposed(
    matrices: Sequence[Tensor], groups: Sequence[tuple[int, Sequence[int]]], norms: Tensor
) -> Iterator[Tensor]:
    """Yield the Gram matrices of each group, padded by zeros: (count, size, size); write their norms."""
    start = 0
    for size, indices in groups:
        padded = any(len(matrices[index]) < size for index in indices)
        gram = (torch.zeros if padded else torch.empty)(len(indices), size, size, device=norms.device)
        for index, block in zip(indices, gram, strict=True):
            x = matrices[index]
            _multiply(block[None, : len(x), : len(x)], x[None], x.mT[None], beta=0.0)
        torch.linalg.vector_norm(gram, dim=(1, 2), keepdim=True, out=norms[start : start + len(indices)])
        start += len(indices)
        yield gram


def _compute_factors(gram: Tensor, norms: Tensor) -> Tensor:
    """Return the product of all polynomials for each Gram matrix (count, size, size) divided by its norm.

    `state` is [g / scale, product], with the factor `scale` that makes both change by the same rule,
    y -> a * y + (polynomial - a) @ y. `halves` has three copies of scale * state in half precision, to be overwritten.
    """
    count, size = gram.shape[:2]
    state = gram.new_empty(count, size, 2 * size)
    halves = torch.empty(3, *state.shape, dtype=torch.float16, device=gram.device)
    gram = torch.div(gram, norms, out=state[..., :size])
    scale = 1.0
    for step, (a, b, c) in enumerate(_POLYNOMIALS):
        used = slice(size) if step == 0 else slice(None)  # the first product is the first polynomial
        torch.mul(state[..., used].expand(3, -1, -1, -1), scale, out=halves[..., used])
        g, rest, added = halves[0, ..., :size], halves[1, ..., :size], halves[2]
        _multiply(rest, g, g, beta=b, alpha=c)  # the polynomial of g, less a
        if step < len(_POLYNOMIALS) - 1:
            # g * polynomial**2 is a * (a * g + rest @ this)
            _multiply(added[..., :size], rest, g, beta=2.0, alpha=1 / a)
        else:
            used = slice(size, None)
        _multiply(state[..., used], rest, added[..., used], beta=a, alpha=1 / scale)
        if step == 0:
            state[..., size:].copy_(rest).diagonal(dim1=1, dim2=2).add_(a)
        scale *= a
    return state[..., size:]


def _multiply(out: Tensor, a: Tensor, b: Tensor, *, beta: float, alpha: float = 1.0) -> None:
    """Set `out` to beta * out + alpha * a @ b, of matrices (count, rows, columns); sums are float32 if `out` is."""
    if out.dtype == a.dtype:
        out.baddbmm_(a, b, beta=beta, alpha=alpha)
    elif out.is_cuda and not torch.version.hip:
        torch.baddbmm(out, a, b, out_dtype=out.dtype, beta=beta, alpha=alpha, out=out)
    else:
        out.baddbmm_(a.to(out.dtype), b.to(out.dtype), beta=beta, alpha=alpha)


def group_sizes(shapes: Sequence[tuple[int, int]]) -> list[tuple[int, list[int]]]:
    """Return (size, indices) of groups of matrices (rows, columns), whose Gram matrices are padded to that size.

    A kernel computes a whole group. So small matrices join larger ones while the operations stay below a share of those
    of Newton-Schulz steps on the matrices themselves.
    """
    most = _PADDED_SHARE * _STEPS * sum(4 * rows**2 * columns + 2 * rows**3 for rows, columns in shapes)
    sizes = sorted({rows for rows, _ in shapes})
    padded = {rows: rows for rows in sizes}
    for smaller, larger in pairwise(sizes):
        joined = {rows: larger if size == smaller else size for rows, size in padded.items()}
        if count_operations(shapes, joined) <= most:
            padded = joined
    groups: dict[int, list[int]] = {}
    for index, (rows, _) in enumerate(shapes):
        groups.setdefault(padded[rows], []).append(index)
    return list(groups.items())


def count_operations(shapes: Sequence[tuple[int, int]], padded: dict[int, int]) -> int:
    """Return the floating-point operations for matrices (rows, columns) with Gram matrices of the sizes `padded`."""
    steps = sum(2 * _MULTIPLICATIONS * padded[rows] ** 3 for rows, _ in shapes)
    return steps + sum(4 * rows**2 * columns for rows, columns in shapes)
