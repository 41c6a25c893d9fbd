"""The models that tests run on: the real base, prepared once a machine, and a tiny one with its tokenizer."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
BASE_NAME = "SmolLM2-135M-Instruct"


def base_model_folder() -> Path:
    """The prepared base model. Prepares it first (half a minute) where nobody has."""
    named = os.environ.get("HOUSESTYLE_TEST_MODELS")
    folder = Path(named) / BASE_NAME if named else ROOT / ".housestyle" / "models" / BASE_NAME
    with _alone("base"):
        if not (folder / "config.json").exists():
            home = folder.parent.parent
            command = [sys.executable, "-m", "workers.engine.prepare", "--home", str(home)]
            subprocess.run(command, cwd=ROOT, check=True)
    return folder


def tiny_model_folder() -> Path:
    """A random Llama of a few layers with the base's tokenizer, cached by the code that makes it."""
    return _tiny("tiny-llama")


def vllm_model_folder() -> Path:
    """One whose heads are as wide as vLLM's kernels for CPUs want them."""
    return _tiny("tiny-llama-wide-heads", head_dim=32)


def _tiny(name: str, **sizes: int) -> Path:
    code = hashlib.sha256((ROOT / "tests" / "tiny_model.py").read_bytes()).hexdigest()[:12]
    folder = _cache() / f"{name}-{code}"
    base = base_model_folder()
    with _alone("tiny"):
        if not (folder / "config.json").exists():
            from tests.tiny_model import make_tiny_model

            unfinished = folder.with_name(folder.name + ".unfinished")
            make_tiny_model(unfinished, tokenizer_from=base, seed=0, **sizes)
            unfinished.rename(folder)
    return folder


def _cache() -> Path:
    folder = ROOT / ".housestyle" / "test-models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _alone(what: str) -> Iterator[None]:
    """One process at a time: pytest's workers all ask for the same model at once."""
    with (_cache() / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
