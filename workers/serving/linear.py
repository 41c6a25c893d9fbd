"""The base model's matrix products, in fp32 or with weights and activations of 8 bits."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from workers.serving import kernels

_FEW = 8
_ACTIVATION, _ZERO = 127, 128
# On AVX2, products of two bytes are added in pairs within 16 bits: 2 * 255 * 64 is what still fits.
_WEIGHT = 64
# The overload itself: looking it up costs a tenth of a decode step.
_MULTIPLY = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32.default


@dataclass(frozen=True, eq=False)
class Rows:
    """What a linear layer reads, as arrays for the kernels and as the same memory in tensors.

    `scaled [rows, in]` and `scale [rows]` are `x [rows, in]` as `kernels.scale_rows` leaves it with the
    layer's `mask`; they mean nothing where that is empty.
    """

    x: NDArray[np.float32]
    scaled: NDArray[np.float32]
    scale: NDArray[np.float32]
    tensor: Tensor
    scaled_tensor: Tensor

    @classmethod
    def empty(cls, rows: int, width: int) -> Rows:
        x, scaled = np.empty((rows, width), np.float32), np.empty((rows, width), np.float32)
        return cls(x, scaled, np.empty(rows, np.float32), torch.from_numpy(x), torch.from_numpy(scaled))


class Linear(Protocol):
    """x W^T. `mask [in]`: the inputs that are to be scaled for it, empty where it takes them as they are."""

    mask: NDArray[np.float32]

    def product(self, given: Rows) -> NDArray[np.float32]:
        """`[rows, out]`, new and contiguous."""

    def of(self, x: Tensor) -> Tensor:
        """The same without the compiled kernels: for one who stands beside the engine's thread."""


class FloatLinear:
    """fp32 weights `[out, in]`."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight
        self.mask = np.empty(0, np.float32)

    def product(self, given: Rows) -> NDArray[np.float32]:
        return self.of(given.tensor).numpy()

    def of(self, x: Tensor) -> Tensor:
        """A decode step has few rows, and then reading the weights is the whole cost. MKL reads them two to
        five times faster for W x^T than for x W^T (26-31 against 6-11 GB/s at 2 rows on two AVX2 cores), if
        x^T has at least two columns; so one row is computed twice, which is still the faster way."""
        rows = x.shape[0]
        if rows > _FEW:
            return F.linear(x, self.weight)
        several = x.repeat(2, 1) if rows == 1 else x
        return (self.weight @ several.t()).t()[:rows].contiguous()


class Int8Linear:
    """Weights of 8 bits with a scale for each output, activations of 8 bits with a scale for each row.

    The few inputs that are far larger than the rest (Dettmers et al. 2022, LLM.int8) would cost all others
    their precision: they are multiplied apart, in fp32. Sums of bytes are exact, so a row's result is the
    same bits whatever rows are beside it.
    """

    def __init__(self, weight: Tensor, outliers: Tensor) -> None:
        """From fp32 `weight [out, in]` and the numbers `[outliers]` of the inputs to be kept in fp32."""
        self._columns = outliers.sort().values
        self._kept = weight[:, self._columns].t().contiguous()
        rest = weight.index_fill(1, self._columns, 0.0)
        scales = rest.abs().amax(1).clamp_min(1e-12).double() / _WEIGHT
        zeros = torch.zeros(weight.shape[0], dtype=torch.int64)
        with warnings.catch_warnings():
            # torch means to drop these one day; the version is pinned, and its kernels have no other door.
            warnings.simplefilter("ignore", UserWarning)
            quantised = torch.quantize_per_channel(rest, scales, zeros, 0, torch.qint8)
        self._packed = torch.ops.quantized.linear_prepack(quantised, None)
        self._columns_array, self._kept_array = self._columns.numpy(), self._kept.view(-1).numpy()
        self.mask = np.ones(weight.shape[1], np.float32)
        self.mask[self._columns_array] = 0.0

    @staticmethod
    def usable() -> bool:
        """Whether this machine has the kernels (FBGEMM: x86 with AVX2)."""
        return "fbgemm" in torch.backends.quantized.supported_engines

    def product(self, given: Rows) -> NDArray[np.float32]:
        y: NDArray[np.float32] = self._multiply(given.scaled_tensor).numpy()
        kernels.unscale(y, given.scale, given.x, self._columns_array, self._kept_array)
        return y

    def of(self, x: Tensor) -> Tensor:
        masked = x * torch.from_numpy(self.mask)
        scale = masked.abs().amax(1, keepdim=True).clamp_min(1e-20)
        return self._multiply(masked / scale).mul_(scale).addmm_(x[:, self._columns], self._kept)

    def _multiply(self, scaled: Tensor) -> Tensor:
        product: Tensor = _MULTIPLY(scaled, 1 / _ACTIVATION, _ZERO, self._packed)
        return product
