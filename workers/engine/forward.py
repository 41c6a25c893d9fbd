"""Loss and gradients of a Llama with LoRA, written out in blocks.

The examples of a batch stand below each other as rows `[rows, hidden]`, without padding: linear layers see
one matrix, attention goes example by example. Each block keeps what its backward pass needs and no more, and
the backward passes give no gradient to frozen weights. In comments, d* is the gradient of the loss by *.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from workers.engine.adapter import AdaptedLayer, Adapter
from workers.engine.base_model import AttentionShape
from workers.engine.batches import Batch

# Rows of logits that exist at once: 256 of them with 49,152 columns take 50 MB.
LOGIT_ROWS = 256


def mean_loss(adapter: Adapter, batch: Batch) -> Tensor:
    """The mean negative log likelihood (scalar) of the batch's labels; differentiable by A and B.

    `adapter.merge()` must have been called since its parameters changed.
    """
    loss: Tensor = LabelLoss.apply(  # type: ignore[no-untyped-call]
        hidden_states(adapter, batch), adapter.base.head, batch.labels
    )
    return loss


def hidden_states(adapter: Adapter, batch: Batch) -> Tensor:
    """What the head reads to predict each label: `[labels, hidden]`, differentiable by A and B."""
    base = adapter.base
    shape = base.attention
    rotation = Rotation(shape, *base.rotation(batch.positions))
    x = base.embedding[batch.tokens]
    for layer in adapter.layers:
        qkv = AttentionInput.apply(x, layer, rotation, *layer.qkv.parameters())  # type: ignore[no-untyped-call]
        attended = _attention(qkv, shape, batch.lengths)
        if layer is adapter.layers[-1]:
            # Above the last attention no row looks at another: only those that predict a label go on.
            attended, x = attended[batch.label_rows], x[batch.label_rows]
        x = AttentionOutput.apply(attended, x, layer, *layer.out.parameters())  # type: ignore[no-untyped-call]
        x = Mlp.apply(x, layer, *layer.gate_up.parameters(), *layer.down.parameters())  # type: ignore[no-untyped-call]
    return F.rms_norm(x, base.norm.shape, base.norm, base.eps)


@dataclass(frozen=True)
class Rotation:
    """Rotary positions (Su et al. 2021) of the rows of a batch."""

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


class AttentionInput(Function):
    """Queries, keys and values `[rows, (heads + 2 kv_heads) head_dim]`, turned to their positions.

    h = norm(x);  qkv = h Wᵀ;  q and k are rotated
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: AdaptedLayer, rotation: Rotation, *parameters: Tensor) -> Tensor:
        h, r = _rms_norm(x, layer.attention_norm, layer.eps)
        qkv = h @ layer.qkv.weight.t()
        rotation.turn(qkv)
        ctx.layer, ctx.rotation = layer, rotation
        ctx.save_for_backward(x, r)
        return qkv

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, r = ctx.saved_tensors
        layer: AdaptedLayer = ctx.layer
        dqkv = grads[0].contiguous()
        ctx.rotation.turn_back(dqkv)
        h = (x * r).mul_(layer.attention_norm)
        lora = layer.qkv.gradients(h, dqkv)
        dx = None
        if ctx.needs_input_grad[0]:  # the embedding below the first layer is frozen
            dx = _rms_norm_backward(dqkv @ layer.qkv.weight, x, r, layer.attention_norm)
        return dx, None, None, *lora


class AttentionOutput(Function):
    """residual + attended Wᵀ"""

    @staticmethod
    def forward(
        ctx: Any, attended: Tensor, residual: Tensor, layer: AdaptedLayer, *parameters: Tensor
    ) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(attended)
        return torch.addmm(residual, attended, layer.out.weight.t())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (attended,) = ctx.saved_tensors
        layer: AdaptedLayer = ctx.layer
        dy = grads[0]
        dresidual = dy if ctx.needs_input_grad[1] else None
        return dy @ layer.out.weight, dresidual, None, *layer.out.gradients(attended, dy)


class Mlp(Function):
    """x + down(silu(g) ⊙ u), where g and u are the halves of gate_up(norm(x)): SwiGLU (Shazeer 2020)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: AdaptedLayer, *parameters: Tensor) -> Tensor:
        h, r = _rms_norm(x, layer.mlp_norm, layer.eps)
        gate_up = h @ layer.gate_up.weight.t()
        g, u = gate_up.chunk(2, dim=-1)
        ctx.layer = layer
        ctx.save_for_backward(x, r, gate_up)
        return torch.addmm(x, F.silu(g).mul_(u), layer.down.weight.t())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, r, gate_up = ctx.saved_tensors
        layer: AdaptedLayer = ctx.layer
        dy = grads[0]
        g, u = gate_up.chunk(2, dim=-1)
        silu = F.silu(g)
        # a = silu(g) ⊙ u:  du = da ⊙ silu(g),  dg = da ⊙ u ⊙ silu'(g)
        lora_down = layer.down.gradients(silu * u, dy)
        da = dy @ layer.down.weight
        dgate_up = torch.empty_like(gate_up)
        dg, du = dgate_up.chunk(2, dim=-1)
        torch.mul(da, silu, out=du)
        dg.copy_(torch.ops.aten.silu_backward(da.mul_(u), g))
        h = (x * r).mul_(layer.mlp_norm)
        lora_gate_up = layer.gate_up.gradients(h, dgate_up)
        dx = _rms_norm_backward(dgate_up @ layer.gate_up.weight, x, r, layer.mlp_norm).add_(dy)
        return dx, None, *lora_gate_up, *lora_down


class LabelLoss(Function):
    """The mean of −log softmax(h Wᵀ)[label] over rows; its gradient is made on the way.

    With p = softmax(h Wᵀ):  dh = (p − onehot(label)) W / rows.  LOGIT_ROWS rows of logits at a time, each
    used for both and forgotten.
    """

    @staticmethod
    def forward(ctx: Any, h: Tensor, head: Tensor, labels: Tensor) -> Tensor:
        rows = h.shape[0]
        dh = torch.empty_like(h) if ctx.needs_input_grad[0] else None
        total = h.new_zeros(())
        buffer = h.new_empty(min(LOGIT_ROWS, rows), head.shape[0])
        for start in range(0, rows, LOGIT_ROWS):
            chunk = slice(start, min(start + LOGIT_ROWS, rows))
            logits = torch.mm(h[chunk], head.t(), out=buffer[: chunk.stop - start])
            of_label = logits.gather(1, labels[chunk, None])
            highest = logits.amax(-1, keepdim=True)
            exp = logits.sub_(highest).exp_()
            z = exp.sum(-1, keepdim=True)
            total += (z.log() + highest - of_label).sum()
            if dh is not None:
                torch.mm(exp, head, out=dh[chunk]).div_(z).sub_(head[labels[chunk]])
        if dh is not None:
            ctx.save_for_backward(dh.div_(rows))
        return total / rows

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (dh,) = ctx.saved_tensors
        return dh * grads[0], None, None


def _attention(qkv: Tensor, shape: AttentionShape, lengths: list[int]) -> Tensor:
    """Causal attention `[rows, heads head_dim]` of every example over its own rows, queries sharing keys."""
    attended = []
    for rows in shape.by_head(qkv).split(lengths):  # type: ignore[no-untyped-call]
        q, k, v = rows.transpose(0, 1)[None].split([shape.heads, shape.kv_heads, shape.kv_heads], dim=1)
        out = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=True
        )  # [1, heads, rows, dim]
        attended.append(out[0].transpose(0, 1))
    return torch.cat(attended).flatten(1)


def _rms_norm(x: Tensor, gain: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """h = g ⊙ x r with r = (mean(x²) + ε)^-½ `[rows, 1]` (Zhang & Sennrich 2019); returns h and r."""
    r = x.square().mean(-1, keepdim=True).add_(eps).rsqrt_()
    return (x * r).mul_(gain), r


def _rms_norm_backward(dh: Tensor, x: Tensor, r: Tensor, gain: Tensor) -> Tensor:
    """dx = r (g ⊙ dh) − x r³ mean(g ⊙ dh ⊙ x). Overwrites dh."""
    dh.mul_(gain)
    inner = (dh * x).mean(-1, keepdim=True).mul_(r.pow(3))
    return dh.mul_(r).addcmul_(x, inner, value=-1)
