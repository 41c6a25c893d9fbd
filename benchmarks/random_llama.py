"""A Llama of random weights, as large as asked, in shards of safetensors."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from benchmarks.briefs import document_text

VOCABULARY = 4096
SHARD_BYTES = 500_000_000
START, STOP = "<|im_start|>", "<|im_end|>"
# ChatML.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Shape:
    """The sizes of a Llama; its embedding is tied to its head."""

    layers: int
    hidden: int = 1024
    intermediate: int = 2816
    heads: int = 16
    kv_heads: int = 8
    vocabulary: int = VOCABULARY

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """`[out, in]` of the linear layers of one decoder layer."""
        head_dim = self.hidden // self.heads
        kv = self.kv_heads * head_dim
        return {
            "self_attn.q_proj": (self.hidden, self.hidden),
            "self_attn.k_proj": (kv, self.hidden),
            "self_attn.v_proj": (kv, self.hidden),
            "self_attn.o_proj": (self.hidden, self.hidden),
            "mlp.gate_proj": (self.intermediate, self.hidden),
            "mlp.up_proj": (self.intermediate, self.hidden),
            "mlp.down_proj": (self.hidden, self.intermediate),
        }

    @property
    def layer_bytes(self) -> int:
        """Of one decoder layer in fp32."""
        return 4 * (sum(out * columns for out, columns in self.linears.values()) + 2 * self.hidden)

    @property
    def weights_bytes(self) -> int:
        return self.layers * self.layer_bytes + 4 * self.hidden * (self.vocabulary + 1)


def write_random_llama(folder: Path, shape: Shape, seed: int = 0) -> Path:
    """Write weights, tokeniser and configuration; returns `folder`. Never holds more than two shards."""
    folder.mkdir(parents=True)
    _write_tokenizer(folder)
    _write_config(folder, shape)
    random = torch.Generator().manual_seed(seed)
    outer = {
        "model.embed_tokens.weight": torch.randn(shape.vocabulary, shape.hidden, generator=random) * 0.02,
        "model.norm.weight": torch.ones(shape.hidden),
    }
    a_shard = max(1, SHARD_BYTES // shape.layer_bytes)
    shards = [range(first, min(first + a_shard, shape.layers)) for first in range(0, shape.layers, a_shard)]
    places: dict[str, str] = {}
    for number, layers in enumerate(shards, 1):
        tensors = outer if number == 1 else {}
        for layer in layers:
            tensors = tensors | _layer(shape, layer, random)
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, name)
    index = {"metadata": {"total_size": shape.weights_bytes}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def _layer(shape: Shape, layer: int, random: torch.Generator) -> dict[str, Tensor]:
    """Scaled so that what passes through all layers neither vanishes nor explodes."""
    made: dict[str, Tensor] = {}
    for name, (out, columns) in shape.linears.items():
        scale = 1 / math.sqrt(columns)
        if name in ("self_attn.o_proj", "mlp.down_proj"):  # what they give is added up over the layers
            scale /= math.sqrt(2 * shape.layers)
        made[name] = torch.randn(out, columns, generator=random).mul_(scale)
    made |= {name: torch.ones(shape.hidden) for name in ("input_layernorm", "post_attention_layernorm")}
    return {f"model.layers.{layer}.{name}.weight": tensor for name, tensor in made.items()}


def _write_tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[START, STOP],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([document_text(number) for number in range(4)], trainer)
    fast: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=STOP, pad_token=STOP
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def _write_config(folder: Path, shape: Shape) -> None:
    config: dict[str, Any] = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.hidden // shape.heads,
        "vocab_size": shape.vocabulary,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
        "bos_token_id": 0,
        "eos_token_id": 1,
        "dtype": "float32",
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 1}))
