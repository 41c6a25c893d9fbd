"""The frozen base model, read once, and its forward pass over flat rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workers.serving.config import LlamaConfig
from workers.serving.errors import StartError
from workers.serving.kv_cache import KVCache
from workers.serving.linear import linear
from workers.serving.lora import FUSED, LoraLayer

Adapter = Sequence[LoraLayer]  # one entry a layer


@dataclass(frozen=True)
class Segment:
    """The next tokens of one sequence: its prompt (or a chunk of it), or the one token chosen last."""

    tokens: Sequence[int]
    cache: KVCache
    adapter: Adapter | None = None
    wants_logits: bool = True


@dataclass(frozen=True)
class _Layer:
    attention_norm: Tensor  # [hidden]
    mlp_norm: Tensor  # [hidden]
    fused: dict[str, Tensor]  # [out, in] by the names in FUSED


@dataclass(frozen=True)
class _Rows:
    """One segment's place among the flat rows, and which of its keys each row may see."""

    span: slice
    cache: KVCache
    mask: Tensor | None  # bool [rows, keys]; None: one row, or a prompt from its start (plainly causal)


class Llama:
    """A Llama in fp32 (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, SwiGLU.

    All tokens of a step stand below each other as rows `[rows, hidden]`, whichever sequence they belong to:
    the linear layers see one matrix, LoRA is added to the rows of each adapter, attention goes by sequence.
    """

    def __init__(self, config: LlamaConfig, weights: dict[str, Tensor], context: int) -> None:
        self.config = config
        self._embedding = weights["model.embed_tokens.weight"]
        self._head = self._embedding if config.tied_head else weights["lm_head.weight"]
        self._norm = weights["model.norm.weight"]
        self._layers = [_layer(weights, f"model.layers.{index}.") for index in range(config.layers)]
        angles = torch.outer(torch.arange(context).float(), torch.tensor(config.inverse_frequencies))
        self._cos, self._sin = angles.cos(), angles.sin()  # [context, head_dim / 2]

    @classmethod
    def load(cls, folder: Path, config: LlamaConfig, context: int) -> Llama:
        """Read the safetensors in `folder`. Raises StartError for weights that are absent or damaged."""
        try:
            return cls(config, _read_weights(folder), context)
        except KeyError as missing:
            raise StartError(f"The base model in {folder} lacks {missing}: prepare it again.") from None
        except SafetensorError:
            raise StartError(f"The base model in {folder} can't be read: prepare it again.") from None

    def forward(self, segments: Sequence[Segment]) -> Tensor:
        """Logits `[segments that want them, vocabulary]` of each such segment's last row.

        Writes keys and values behind each cache's `length` and leaves `length` to the caller. Neighbouring
        segments of one adapter share its matrix products: sort them by adapter.
        """
        rows, positions = _place(segments)
        groups = _adapter_rows(segments)
        cos, sin = self._cos[positions, None], self._sin[positions, None]  # [rows, 1, head_dim / 2]
        x = self._embedding[torch.tensor([token for segment in segments for token in segment.tokens])]
        for index, layer in enumerate(self._layers):
            h = self._rms_norm(x, layer.attention_norm)
            qkv = _linear(h, layer, "qkv", index, groups)
            attended = self._attention(qkv, index, rows, cos, sin)
            x = x + _linear(attended, layer, "out", index, groups)
            h = self._rms_norm(x, layer.mlp_norm)
            gate, up = _linear(h, layer, "gate_up", index, groups).chunk(2, dim=-1)
            x = x + _linear(F.silu(gate) * up, layer, "down", index, groups)
        wanted = [place.span.stop - 1 for place, s in zip(rows, segments, strict=True) if s.wants_logits]
        return linear(self._rms_norm(x[wanted], self._norm), self._head)

    def _rms_norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (self.config.hidden,), weight, self.config.rms_eps)

    def _attention(self, qkv: Tensor, layer: int, rows: list[_Rows], cos: Tensor, sin: Tensor) -> Tensor:
        """Attention `[rows, heads * head_dim]` of every sequence over its own keys and values."""
        heads, kv_heads = self.config.heads, self.config.kv_heads
        by_head = qkv.view(qkv.shape[0], heads + 2 * kv_heads, self.config.head_dim)
        rotated = _rotate(by_head[:, : heads + kv_heads], cos, sin)
        queries, keys, values = rotated[:, :heads], rotated[:, heads:], by_head[:, heads + kv_heads :]
        out = torch.empty_like(queries)
        for place in rows:
            all_keys, all_values = place.cache.write(layer, keys[place.span], values[place.span])
            several = place.span.stop - place.span.start > 1
            out[place.span] = F.scaled_dot_product_attention(
                queries[place.span].transpose(0, 1)[None],
                all_keys[None],
                all_values[None],
                attn_mask=place.mask,
                is_causal=several and place.mask is None,
                enable_gqa=True,
            )[0].transpose(0, 1)
        return out.view(qkv.shape[0], -1)


def _linear(x: Tensor, layer: _Layer, name: str, index: int, groups: list[tuple[Adapter, slice]]) -> Tensor:
    """x W^T for all rows, plus each adapter's LoRA for the rows that are its own."""
    y = linear(x, layer.fused[name])
    for adapter, span in groups:
        lora = adapter[index].get(name)
        if lora is not None:
            lora.add_to(y[span], x[span])
    return y


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021) on `[rows, heads, head_dim]`, halves paired as Llama pairs them."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def _place(segments: Sequence[Segment]) -> tuple[list[_Rows], Tensor]:
    """Where each segment's rows stand, and the position `[rows]` of every row in its own sequence."""
    rows: list[_Rows] = []
    positions: list[Tensor] = []
    start = 0
    for segment in segments:
        count, seen = len(segment.tokens), segment.cache.length
        mask = None
        if count > 1 and seen > 0:
            mask = torch.ones(count, seen + count, dtype=torch.bool).tril(seen)
        rows.append(_Rows(slice(start, start + count), segment.cache, mask))
        positions.append(torch.arange(seen, seen + count))
        start += count
    return rows, torch.cat(positions)


def _adapter_rows(segments: Sequence[Segment]) -> list[tuple[Adapter, slice]]:
    """The spans of neighbouring rows that share an adapter; rows of the base alone are in none."""
    groups: list[tuple[Adapter, slice]] = []
    start = 0
    for _, run in groupby(segments, key=lambda segment: id(segment.adapter)):
        members = list(run)
        end = start + sum(len(segment.tokens) for segment in members)
        adapter = members[0].adapter
        if adapter is not None:
            groups.append((adapter, slice(start, end)))
        start = end
    return groups


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of the folder's safetensors in fp32, memory-mapped where it is fp32 already."""
    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("model*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 (not a dict)
                weights[name] = file.get_tensor(name).float()
    if not weights:
        raise StartError(f"{folder} has no model.safetensors: prepare the base model first.")
    return weights


def _layer(weights: dict[str, Tensor], prefix: str) -> _Layer:
    fused = {
        name: torch.cat([weights[f"{prefix}{module}.weight"] for module in members])
        if len(members) > 1
        else weights[f"{prefix}{members[0]}.weight"]
        for name, members in FUSED.items()
    }
    return _Layer(
        weights[f"{prefix}input_layernorm.weight"], weights[f"{prefix}post_attention_layernorm.weight"], fused
    )
