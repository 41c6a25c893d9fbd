"""A frozen base of any architecture that transformers reads, in memory for every run that follows."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedTokenizerBase,
)

from webapp.training.spec import TrainingSpec
from workers.engine.base_model import Stamp, name_of, revision_of, stamp_of, stop_tokens_of
from workers.engine.errors import EngineError
from workers.engine.general.learner import GeneralLearner
from workers.engine.general.targets import Decoder
from workers.engine.weights import WeightFiles

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_CONTEXT_UNKNOWN = 8192  # tokens: the longest example there is, for models whose positions have no end
_PROBE_TOKENS = 5


@dataclass(frozen=True)
class GeneralBase:
    """A causal language model without gradients, its tokenizer, and what it is called.

    `mode` is `resident`, or `nf4` for weights in 4 bits (Dettmers et al. 2023).
    """

    name: str
    revision: str
    stamp: Stamp
    model: Any  # transformers' PreTrainedModel
    decoder: Decoder
    context: int  # tokens
    tokenizer: PreTrainedTokenizerBase
    stop_tokens: frozenset[int]
    parameters: int
    precision: str
    mode: str

    @classmethod
    def load(
        cls, folder: Path, precision: str = "fp32", mode: str = "resident", device: str | None = None
    ) -> GeneralBase:
        """Read the base in `folder`: safetensors only, and no code of its own.

        Raises EngineError if it is absent, damaged or unknown, or can't be held like that on this machine.
        """
        where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        _refuse(precision, mode, where)
        try:
            stamp, files = stamp_of(folder), WeightFiles(folder)
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            read: Any = AutoModelForCausalLM.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=DTYPES[precision],
                device_map={"": where},
                quantization_config=_nf4(precision) if mode == "nf4" else None,
                output_loading_info=True,
            )
            model, found = read
            if found["missing_keys"]:  # transformers would go on with random numbers
                raise KeyError(*found["missing_keys"])
            stop_tokens = _stop_tokens(folder, config, tokenizer)
            name, revision = name_of(folder), revision_of(folder)
        except torch.OutOfMemoryError:
            raise
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise EngineError(f"The base model {folder.name} can't be read: prepare it again.") from error
        model.eval().requires_grad_(False)
        # Its own would let answers depend on chance.
        model.generation_config = GenerationConfig()  # type: ignore[no-untyped-call]
        return cls(
            name=name,
            revision=revision,
            stamp=stamp,
            model=model,
            decoder=Decoder.of(model),
            context=_context(config),
            tokenizer=tokenizer,
            stop_tokens=stop_tokens,
            parameters=files.parameters,
            precision=precision,
            mode=mode,
        )

    @property
    def device(self) -> torch.device:
        return torch.device(self.model.device)

    def is_of(self, folder: Path) -> bool:
        """Whether this is the base that `folder` holds now, also when one was prepared there again."""
        try:
            return self.stamp == stamp_of(folder)
        except OSError:
            return False

    def learner(self, spec: TrainingSpec) -> GeneralLearner:
        """A fresh adapter, which changes nothing. The same spec gives the same one, bit by bit."""
        return GeneralLearner(self, spec)

    @cached_property
    def softcap(self) -> float | None:
        """Gemma's bound c of the logits, which are c tanh(x / c)."""
        config = self.model.config.get_text_config(decoder=True)
        return getattr(config, "final_logit_softcapping", None)

    def logits(self, hidden: Tensor) -> Tensor:
        """The head by itself: `[rows, hidden]` to `[rows, vocabulary]`. Right where `has_plain_head`."""
        logits: Tensor = self.model.get_output_embeddings()(hidden)
        if self.softcap is not None:
            logits = torch.tanh(logits / self.softcap) * self.softcap
        return logits

    @cached_property
    def has_plain_head(self) -> bool:
        """Whether `logits` of the last hidden states are the model's own.

        Asked of a few tokens, because architectures scale their logits in ways of their own.
        """
        if self.model.get_output_embeddings() is None or self.model.base_model is self.model:
            return False
        tokens = torch.arange(_PROBE_TOKENS, device=self.device)[None]
        asked = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "use_cache": False}
        with torch.no_grad():
            expected = self.model(**asked).logits[0]
            found = self.logits(self.model.base_model(**asked)[0][0])
        if found.shape != expected.shape:
            return False
        close = 10 * torch.finfo(found.dtype).eps
        return torch.allclose(found, expected, rtol=close, atol=close * float(expected.abs().max()))


def _refuse(precision: str, mode: str, device: torch.device) -> None:
    """Raises EngineError for a way of holding the weights that this machine hasn't got."""
    if mode == "streamed":
        raise EngineError(
            "Streaming the frozen weights works with Llama, Mistral and Qwen2 models only: "
            "choose the mode “resident”, or such a base."
        )
    if device.type == "cpu" and mode == "nf4":
        raise EngineError("4-bit weights need a CUDA device, which this worker has not: choose “resident”.")
    if mode == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        raise EngineError("4-bit weights need the package bitsandbytes: install it, or choose “resident”.")
    if device.type == "cpu" and precision == "fp16":
        raise EngineError("fp16 needs a CUDA device, which this worker has not: choose fp32 or bf16.")


def _nf4(precision: str) -> BitsAndBytesConfig:
    """NF4 with doubly quantised constants (Dettmers et al. 2023). Not run without a GPU."""
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[precision],
    )


def _context(config: Any) -> int:
    text = config.get_text_config(decoder=True)
    return int(getattr(text, "max_position_embeddings", None) or _CONTEXT_UNKNOWN)


def _stop_tokens(folder: Path, config: Any, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """The tokens that end an answer."""
    found = stop_tokens_of(folder, config.get_text_config(decoder=True))
    own: int | None = tokenizer.eos_token_id
    return found or frozenset([] if own is None else [own])
