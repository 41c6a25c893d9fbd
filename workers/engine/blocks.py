"""The blocks of a Llama-family decoder layer with LoRA, forward and backward written out.

Examples stand below each other as rows `[rows, hidden]`, without padding: linear layers see one matrix,
attention goes example by example. Each block keeps what its backward pass needs and no more, and the backward
passes give no gradient to frozen weights. In comments, d* is the gradient of the loss by *.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from workers.engine.adapter import AdaptedLayer, Draw


@dataclass(frozen=True)
class AttentionShape:
    """How the columns of a fused query-key-value row divide into heads, in that order."""

    heads: int
    kv_heads: int
    head_dim: int

    def by_head(self, qkv: Tensor) -> Tensor:
        """A view `[rows, heads + 2 kv_heads, head_dim]`."""
        return qkv.view(qkv.shape[0], self.heads + 2 * self.kv_heads, self.head_dim)


@dataclass(frozen=True)
class Rotation:
    """Rotary positions (Su et al. 2021) of some rows."""

    shape: AttentionShape
    cos: Tensor  # [rows, 1, head_dim / 2]
    sin: Tensor

    def turn(self, qkv: Tensor) -> None:
        """Turn every query and key by its position, in place."""
        self._turn(qkv, self.sin)

    def turn_back(self, qkv: Tensor) -> None:
        """The transpose of `turn`, which is also its inverse."""
        self._turn(qkv, -self.sin)

    def _turn(self, qkv: Tensor, sin: Tensor) -> None:
        """The pair (a, b) = (x[i], x[i + head_dim/2]) becomes (a cos − b sin, b cos + a sin)."""
        queries_and_keys = self.shape.by_head(qkv)[:, : -self.shape.kv_heads]
        a, b = queries_and_keys.chunk(2, dim=-1)
        a_sin = a * sin
        a.mul_(self.cos).addcmul_(b, sin, value=-1)
        b.mul_(self.cos).add_(a_sin)


@dataclass(frozen=True)
class Rows:
    """What the blocks must know of the rows that they compute."""

    rotation: Rotation
    shared: int  # the first rows, which every example begins with
    lengths: Sequence[int]  # own rows of each example
    draw: Draw | None = None  # of dropout; None: none


def decoder_layer(x: Tensor, layer: AdaptedLayer, rows: Rows, keep: Tensor | None = None) -> Tensor:
    """One layer, `[rows, hidden]` to the same, differentiable by x and `layer.parameters`.

    Behind attention no row looks at another: only those at `keep` go on.
    """
    qkv = AttentionInput.apply(x, layer, rows, *layer.qkv.parameters)  # type: ignore[no-untyped-call]
    attended = attention(qkv, rows)
    if keep is not None:
        attended, x = attended[keep], x[keep]
    x = AttentionOutput.apply(attended, x, layer, rows, *layer.out.parameters)  # type: ignore[no-untyped-call]
    both = (*layer.gate_up.parameters, *layer.down.parameters)
    out: Tensor = Mlp.apply(x, layer, rows, *both)  # type: ignore[no-untyped-call]
    return out


class AttentionInput(Function):
    """Queries, keys and values `[rows, (heads + 2 kv_heads) head_dim]`, turned to their positions.

    h = norm(x);  qkv = h Wᵀ;  q and k are rotated
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: AdaptedLayer, rows: Rows, *parameters: Tensor) -> Tensor:
        h, r = rms_norm(x, layer.attention_norm, layer.eps)
        qkv = layer.qkv.forward(h, rows.draw)
        rows.rotation.turn(qkv)
        ctx.layer, ctx.rows = layer, rows
        ctx.save_for_backward(x, r)
        return qkv

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, r = ctx.saved_tensors
        layer: AdaptedLayer = ctx.layer
        draw = ctx.rows.draw
        dqkv = grads[0].contiguous()
        ctx.rows.rotation.turn_back(dqkv)
        h = (x * r).mul_(layer.attention_norm)
        lora = layer.qkv.gradients(h, dqkv, draw)
        dx = None
        if ctx.needs_input_grad[0]:  # what lies below the first layer that learns is frozen
            dx = rms_norm_backward(layer.qkv.input_gradient(dqkv, draw), x, r, layer.attention_norm)
        return dx, None, None, *lora


class AttentionOutput(Function):
    """residual + attended Wᵀ"""

    @staticmethod
    def forward(
        ctx: Any, attended: Tensor, residual: Tensor, layer: AdaptedLayer, rows: Rows, *parameters: Tensor
    ) -> Tensor:
        ctx.layer, ctx.draw = layer, rows.draw
        ctx.save_for_backward(attended)
        return layer.out.forward(attended, rows.draw).add_(residual)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (attended,) = ctx.saved_tensors
        layer: AdaptedLayer = ctx.layer
        dy = grads[0]
        dattended = layer.out.input_gradient(dy, ctx.draw)
        dresidual = dy if ctx.needs_input_grad[1] else None
        return dattended, dresidual, None, None, *layer.out.gradients(attended, dy, ctx.draw)


class Mlp(Function):
    """x + down(silu(g) ⊙ u), where g and u are the halves of gate_up(norm(x)): SwiGLU (Shazeer 2020)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: AdaptedLayer, rows: Rows, *parameters: Tensor) -> Tensor:
        h, r = rms_norm(x, layer.mlp_norm, layer.eps)
        gate_up = layer.gate_up.forward(h, rows.draw)
        g, u = gate_up.chunk(2, dim=-1)
        ctx.layer, ctx.draw = layer, rows.draw
        ctx.save_for_backward(x, r, gate_up)
        return layer.down.forward(F.silu(g).mul_(u), rows.draw).add_(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, r, gate_up = ctx.saved_tensors
        layer: AdaptedLayer = ctx.layer
        dy = grads[0]
        g, u = gate_up.chunk(2, dim=-1)
        silu = F.silu(g)
        # a = silu(g) ⊙ u:  du = da ⊙ silu(g),  dg = da ⊙ u ⊙ silu'(g)
        lora_down = layer.down.gradients(silu * u, dy, ctx.draw)
        da = layer.down.input_gradient(dy, ctx.draw)
        dgate_up = torch.empty_like(gate_up)
        dg, du = dgate_up.chunk(2, dim=-1)
        torch.mul(da, silu, out=du)
        dg.copy_(torch.ops.aten.silu_backward(da.mul_(u), g))
        h = (x * r).mul_(layer.mlp_norm)
        lora_gate_up = layer.gate_up.gradients(h, dgate_up, ctx.draw)
        dh = layer.gate_up.input_gradient(dgate_up, ctx.draw)
        dx = rms_norm_backward(dh, x, r, layer.mlp_norm).add_(dy)
        return dx, None, None, *lora_gate_up, *lora_down


def attention(qkv: Tensor, rows: Rows) -> Tensor:
    """Causal attention `[rows, heads head_dim]` of every example over the shared rows and its own, queries
    sharing keys (Ainslie et al. 2023)."""
    shape = rows.rotation.shape
    lengths = [rows.shared, *rows.lengths] if rows.shared else list(rows.lengths)
    spans = [
        span.transpose(0, 1)[None].split([shape.heads, shape.kv_heads, shape.kv_heads], dim=1)
        for span in shape.by_head(qkv).split(lengths)  # type: ignore[no-untyped-call]
    ]  # of queries, keys and values [1, heads, rows, dim]
    attended = []
    for place, (q, k, v) in enumerate(spans):
        mask = None
        if rows.shared and place > 0:
            _, shared_k, shared_v = spans[0]
            k, v = torch.cat([shared_k, k], dim=2), torch.cat([shared_v, v], dim=2)
            mask = _behind_shared(lengths[place], rows.shared, qkv.device)
        out = F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=True
        )  # [1, heads, rows, dim]
        attended.append(out[0].transpose(0, 1))
    return torch.cat(attended).flatten(1)


def _behind_shared(own: int, shared: int, device: torch.device) -> Tensor:
    """bool `[own, shared + own]`: every own row sees all shared rows, and its own up to itself."""
    return torch.ones(own, shared + own, dtype=torch.bool, device=device).tril(shared)


def rms_norm(x: Tensor, gain: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """h = g ⊙ x r with r = (mean(x²) + ε)^-½ `[rows, 1]` (Zhang & Sennrich 2019); returns h and r."""
    r = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return (x * r).mul_(gain), r


def rms_norm_backward(dh: Tensor, x: Tensor, r: Tensor, gain: Tensor) -> Tensor:
    """dx = r (g ⊙ dh) − x r³ mean(g ⊙ dh ⊙ x). Overwrites dh."""
    dh.mul_(gain)
    inner = (dh * x).mean(-1, keepdim=True).mul_(r.pow(3))
    return dh.mul_(r).addcmul_(x, inner, value=-1)
