"""What a decode step does between its matrix products, compiled: rows in, rows out, nothing allocated.

A step has few rows, so a library call a row, a head or an adapter would cost more than its arithmetic. Every
function here goes over rows `[rows, ...]` of fp32 and treats each by itself, in an order of its own: what
comes out for a row never depends on the rows beside it. Numba (BSD-2) compiles them at their first use and
keeps the result on disk. They must not be called from two threads at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from workers.serving.kv_cache import BLOCK

# Its other pools want a library of the system's, which need not be there.
numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined]

F = NDArray[np.float32]
I = NDArray[np.int64]  # noqa: E741 (as F above)

# Rows up to which waking a second thread takes longer than what it would do.
ALONE = 2


def _inlined(function: Callable[..., Any], *, parallel: bool = False) -> Any:
    """Compiled, and kept beside the bytecode or in the user's cache; nowhere where neither can be written."""
    # A division by zero gives what IEEE 754 says, not an exception that every division would look out for.
    settings: dict[str, Any] = {
        "parallel": parallel,
        "fastmath": True,
        "nogil": True,
        "error_model": "numpy",
    }
    try:
        return numba.njit(function, cache=True, **settings)
    except RuntimeError:
        return numba.njit(function, **settings)


class _compiled:
    """A function over the rows of its first argument, compiled for one thread and for several."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.__doc__ = function.__doc__
        self._alone = _inlined(function)
        self._shared = _inlined(function, parallel=True)

    def __call__(self, *arguments: Any) -> None:
        (self._alone if len(arguments[0]) <= ALONE else self._shared)(*arguments)


@numba.njit(fastmath=True, inline="always", error_model="numpy")
def _exp(x: Any) -> Any:
    """e^x to 1.2e-7 of itself, after Cephes' expf (Moshier 1984): it is vectorised, unlike the library's."""
    x = min(max(x, np.float32(-87.0)), np.float32(88.0))
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1.0)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@_inlined
def _scale_row(row: F, mask: F, out: F) -> Any:
    """Masked and divided by its largest absolute number, which is returned."""
    largest = np.float32(1e-20)
    for i in range(row.shape[0]):
        largest = max(largest, abs(row[i] * mask[i]))
    inverse = np.float32(1.0) / largest
    for i in range(row.shape[0]):
        out[i] = row[i] * mask[i] * inverse
    return largest


@_inlined
def _norm_row(x: F, weight: F, eps: Any, out: F) -> None:
    squares = np.float32(0.0)
    for i in range(x.shape[0]):
        squares += x[i] * x[i]
    factor = np.float32(1.0) / np.sqrt(squares / np.float32(x.shape[0]) + eps)
    for i in range(x.shape[0]):
        out[i] = x[i] * factor * weight[i]


@_inlined
def _swiglu_row(gate: F, up: F, out: F) -> None:
    for i in range(out.shape[0]):
        out[i] = gate[i] / (np.float32(1.0) + _exp(-gate[i])) * up[i]


@_compiled
def norm(x: F, add: F, weight: F, eps: Any, mask: F, out: F, scaled: F, scale: F) -> None:
    """x += add where there is any, then RMSNorm (Zhang & Sennrich 2019) into `out` and, scaled to [-1, 1] row
    by row for 8-bit products, into `scaled`; an empty `mask` leaves the scaling out."""
    for r in numba.prange(x.shape[0]):
        if add.shape[0]:
            for i in range(x.shape[1]):
                x[r, i] += add[r, i]
        _norm_row(x[r], weight, eps, out[r])
        if mask.shape[0]:
            scale[r] = _scale_row(out[r], mask, scaled[r])


@_compiled
def scale_rows(x: F, mask: F, scaled: F, scale: F) -> None:
    for r in numba.prange(x.shape[0]):
        scale[r] = _scale_row(x[r], mask, scaled[r])


@_compiled
def swiglu(gate_up: F, mask: F, out: F, scaled: F, scale: F) -> None:
    """silu(gate) * up (Shazeer 2020) of `[rows, 2 * intermediate]`."""
    width = out.shape[1]
    for r in numba.prange(out.shape[0]):
        _swiglu_row(gate_up[r, :width], gate_up[r, width:], out[r])
        if mask.shape[0]:
            scale[r] = _scale_row(out[r], mask, scaled[r])


@_inlined
def _add_lines(to: F, factors: F, numbers: F, start: int, lines: int) -> None:
    """to += factors @ the `lines` lines of `numbers` that begin at `start`.

    Four at once, so that what is added up is read and written a quarter as often.
    """
    width = to.shape[0]
    whole = lines - lines % 4
    for k in range(0, whole, 4):
        at = start + k * width
        a, b = numbers[at : at + width], numbers[at + width : at + 2 * width]
        c, d = numbers[at + 2 * width : at + 3 * width], numbers[at + 3 * width : at + 4 * width]
        p, q, r, s = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        for o in range(width):
            to[o] += p * a[o] + q * b[o] + r * c[o] + s * d[o]
    for k in range(whole, lines):
        at = start + k * width
        a, p = numbers[at : at + width], factors[k]
        for o in range(width):
            to[o] += p * a[o]


@_inlined
def _products(given: F, numbers: F, start: int, lines: int, out: F) -> None:
    """out = the `lines` lines of `numbers` that begin at `start`, each times `given`; four at once."""
    width = given.shape[0]
    whole = lines - lines % 4
    for k in range(0, whole, 4):
        at = start + k * width
        a, b = numbers[at : at + width], numbers[at + width : at + 2 * width]
        c, d = numbers[at + 2 * width : at + 3 * width], numbers[at + 3 * width : at + 4 * width]
        p, q, r, s = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for i in range(width):
            x = given[i]
            p += x * a[i]
            q += x * b[i]
            r += x * c[i]
            s += x * d[i]
        out[k], out[k + 1], out[k + 2], out[k + 3] = p, q, r, s
    for k in range(whole, lines):
        at = start + k * width
        a, p = numbers[at : at + width], np.float32(0.0)
        for i in range(width):
            p += given[i] * a[i]
        out[k] = p


@_compiled
def unscale(y: F, scale: F, x: F, columns: I, kept: F) -> None:
    """y = y * scale + x[columns] @ kept: an 8-bit product in its true size, and what was left out of it.

    `kept [columns, out]` is flat.
    """
    for r in numba.prange(y.shape[0]):
        row, factor = y[r], scale[r]
        factors = np.empty(columns.shape[0], np.float32)
        for k in range(columns.shape[0]):
            factors[k] = x[r, columns[k]]
        for o in range(row.shape[0]):
            row[o] *= factor
        _add_lines(row, factors, kept, 0, columns.shape[0])


@_compiled
def lora(x: F, y: F, arena: F, rows: I, parts: I, owner: I, layer: int, first: int, last: int) -> None:
    """y += (x A^T) B^T for `rows [n]` of x and y, each with the matrices of its own adapter (Hu et al. 2021).

    `owner [n]` numbers the adapters of `parts [adapters, layers, modules, 5]`, which says of each module:
    rank (0 where nothing is changed), where A `[rank, in]` and B `[rank, out]`, the scaling multiplied in,
    begin in `arena`, and which columns of y are B's (first, how many). Modules from `first` to before `last`
    read x and write y. Neighbours of one adapter find its matrices in the cache.
    """
    modules = last - first
    for item in numba.prange(rows.shape[0] * modules):
        n = item % rows.shape[0]
        part = parts[owner[n], layer, first + item // rows.shape[0]]
        rank, a, b, column, columns = part[0], part[1], part[2], part[3], part[4]
        if rank > 0:
            h = np.empty(rank, np.float32)
            _products(x[rows[n]], arena, a, rank, h)
            _add_lines(y[rows[n], column : column + columns], h, arena, b, rank)


@_compiled
def rotate_and_store(
    qkv: F, cos: F, sin: F, heads: int, keys: F, values: F, block: I, slot: I, queries: F, scale: Any
) -> None:
    """Rotary positions (Su et al. 2021) for queries and keys, halves paired as Llama pairs them.

    Keys and values go to their places in one layer's `keys [blocks, kv_heads, head_dim, BLOCK]` and `values
    [blocks, kv_heads, BLOCK, head_dim]`, queries, times `scale`, to `queries [rows, heads, head_dim]`.
    """
    kv_heads, dim = values.shape[1], values.shape[3]
    half = dim // 2
    for r in numba.prange(qkv.shape[0]):
        row, c, s = qkv[r], cos[r], sin[r]
        for h in range(heads):
            for i in range(half):
                a, b = row[h * dim + i], row[h * dim + half + i]
                queries[r, h, i] = (a * c[i] - b * s[i]) * scale
                queries[r, h, half + i] = (b * c[i] + a * s[i]) * scale
        for g in range(kv_heads):
            k, v = (heads + g) * dim, (heads + kv_heads + g) * dim
            to_key, to_value = keys[block[r], g], values[block[r], g]
            for i in range(half):
                a, b = row[k + i], row[k + half + i]
                to_key[i, slot[r]] = a * c[i] - b * s[i]
                to_key[half + i, slot[r]] = b * c[i] + a * s[i]
            for i in range(dim):
                to_value[slot[r], i] = row[v + i]


@_inlined
def _attend_block(query: F, key: F, value: F, count: int, scores: F, to: F, largest: Any, total: Any) -> Any:
    """One block more: keys `[head_dim, BLOCK]`, values `[BLOCK, head_dim]`. Returns the new maximum, total.

    What is behind `count` belongs to nobody: it is read, and left out of everything that follows.
    """
    dim = key.shape[0]
    for t in range(BLOCK):
        scores[t] = np.float32(0.0)
    for i in range(0, dim - dim % 8, 8):
        for t in range(BLOCK):
            scores[t] += (
                query[i] * key[i, t]
                + query[i + 1] * key[i + 1, t]
                + query[i + 2] * key[i + 2, t]
                + query[i + 3] * key[i + 3, t]
                + query[i + 4] * key[i + 4, t]
                + query[i + 5] * key[i + 5, t]
                + query[i + 6] * key[i + 6, t]
                + query[i + 7] * key[i + 7, t]
            )
    for i in range(dim - dim % 8, dim):
        for t in range(BLOCK):
            scores[t] += query[i] * key[i, t]
    most = largest
    for t in range(count):
        most = max(most, scores[t])
    shrink = _exp(largest - most)
    total *= shrink
    for i in range(dim):
        to[i] *= shrink
    for t in range(BLOCK):
        scores[t] = _exp(scores[t] - most)
    for t in range(count):
        total += scores[t]
    whole = count - count % 8
    for t in range(0, whole, 8):
        for i in range(dim):
            to[i] += (
                scores[t] * value[t, i]
                + scores[t + 1] * value[t + 1, i]
                + scores[t + 2] * value[t + 2, i]
                + scores[t + 3] * value[t + 3, i]
                + scores[t + 4] * value[t + 4, i]
                + scores[t + 5] * value[t + 5, i]
                + scores[t + 6] * value[t + 6, i]
                + scores[t + 7] * value[t + 7, i]
            )
    for t in range(whole, count):
        for i in range(dim):
            to[i] += scores[t] * value[t, i]
    return most, total


@_compiled
def attend(queries: F, keys: F, values: F, table: I, line: I, seen: I, out: F) -> None:
    """Attention of every row over keys and values of its own sequence, read block by block with the running
    maximum of Milakov & Gimelshein (2018).

    `table [sequences, most blocks]`; row r reads the blocks of `table[line[r]]` up to `seen[r]` keys; `out
    [rows, heads * head_dim]`.
    """
    kv_heads, block, dim = values.shape[1], values.shape[2], values.shape[3]
    group = queries.shape[1] // kv_heads
    for item in numba.prange(queries.shape[0] * kv_heads):
        r, g = item // kv_heads, item % kv_heads
        scores = np.empty(block, np.float32)
        sums = np.zeros((group, dim), np.float32)
        largest = np.full(group, np.float32(-1e30), np.float32)
        total = np.zeros(group, np.float32)
        for at in range((seen[r] + block - 1) // block):
            number = table[line[r], at]
            count = min(seen[r] - at * block, block)
            for h in range(group):
                largest[h], total[h] = _attend_block(
                    queries[r, g * group + h],
                    keys[number, g],
                    values[number, g],
                    count,
                    scores,
                    sums[h],
                    largest[h],
                    total[h],
                )
        for h in range(group):
            inverse = np.float32(1.0) / total[h]
            for i in range(dim):
                out[r, (g * group + h) * dim + i] = sums[h, i] * inverse
