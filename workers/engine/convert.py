"""From a GGUF file to a folder of safetensors, tokenizer and configuration that loads in a second."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workers.engine.errors import EngineError

ABOUT, WEIGHTS = "housestyle.json", "model.safetensors"
SPLITS_DIGITS = "smollm"  # what such a GGUF says of its pre-tokenizer


def convert_gguf(source: Path, folder: Path, name: str) -> None:
    """Write the model of the GGUF file `source` into `folder`, in fp32. Raises EngineError."""
    with told("starting PyTorch and transformers"):
        os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        import torch
        import transformers
    where: dict[str, Any] = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    try:
        with told("reading tokenizer"):
            tokenizer = transformers.AutoTokenizer.from_pretrained(**where, trust_remote_code=False)
            splits_digits = _pre_tokenizer(source) == SPLITS_DIGITS
            if splits_digits:
                _split_digits(tokenizer)
        with told("reading weights"):
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                **where, dtype=torch.float32, trust_remote_code=False
            )
    except (ValueError, KeyError, IndexError, NotImplementedError, struct.error) as error:
        raise EngineError(
            f"{source.name} is damaged, or of an architecture that transformers does not read from GGUF: "
            "bring the model in safetensors."
        ) from error
    # Dequantised for good: otherwise save_pretrained would write a model that asks for GGUF again.
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    model.config._name_or_path = model.name_or_path = name
    with told("writing safetensors"):
        # fp32, because a 4-bit code times its scale plus its minimum is not exact in less.
        model.save_pretrained(folder, max_shard_size="100GB")
        tokenizer.save_pretrained(folder)
    if splits_digits:
        _check_digits(tokenizer)


def _pre_tokenizer(source: Path) -> str:
    """How the file says that text is split before it is tokenised; empty where it doesn't."""
    import gguf

    field = gguf.GGUFReader(source).get_field("tokenizer.ggml.pre")
    return str(field.contents()) if field is not None else ""


def _split_digits(tokenizer: Any) -> None:
    """Put back what GGUF does not carry: SmolLM splits off every digit before its byte-level step."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    tokenizer.backend_tokenizer.pre_tokenizer = Sequence(
        [Digits(individual_digits=True), ByteLevel(add_prefix_space=False, use_regex=True)]
    )


def _check_digits(tokenizer: Any) -> None:
    """Raises EngineError unless digits are tokens of their own and white space before them stays whole."""
    expected = {
        "347 U.S. 483": ["3", "4", "7", "ĠU", ".", "S", ".", "Ġ", "4", "8", "3"],
        "a\n\n1": ["a", "ĊĊ", "1"],  # without the digits step: a, Ċ, Ċ, 1
    }
    for text, tokens in expected.items():
        if tokenizer.tokenize(text) != tokens or tokenizer.decode(tokenizer(text)["input_ids"]) != text:
            raise EngineError(
                "The base model's tokenizer came out wrong with these versions of its packages: "
                "install those named in constraints.txt, then start again."
            )


@contextmanager
def told(step: str) -> Iterator[None]:
    """Say what is being done, and when it is done."""
    print(f"Preparing the base model: {step} ... ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"done ({time.monotonic() - start:.0f} s)", flush=True)
