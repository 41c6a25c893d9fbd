"""Which of the two ways a base is computed in, and reading it for that one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from transformers import AutoConfig

from workers.engine.base_model import BaseModel, fast_path_problem
from workers.engine.errors import EngineError
from workers.engine.learner import Base
from workers.engine.ranks import Ranks

# How much faster a bf16 product must be than one in fp32 to be chosen: the general path, which is the only
# one that knows bf16, takes about that many times as long as the fast one for all the rest.
WORTH_BF16 = 3.0
_TIMES = 3  # how often matrices are multiplied to see
_ROWS = {"cpu": 256, "cuda": 4096}  # of theirs; small ones would measure an accelerator's start


@dataclass(frozen=True)
class Way:
    """How a base is held and computed: `mode` and `precision` as in a spec, but never “auto”."""

    path: Literal["fast", "general"]
    precision: str
    mode: str


def load_base(folder: Path, precision: str = "auto", mode: str = "auto", ranks: Ranks | None = None) -> Base:
    """Read the base in `folder` for runs of this precision and mode. Raises EngineError.

    `ranks` are the processes that compute a run together, where it is more than this one.
    """
    # PEFT and all that it brings along would make every start of a child seconds longer.
    if ranks is not None and ranks.several:
        from workers.engine.general.sharded import ShardedBase

        if precision == "auto":
            precision = ranks.agree(quickest_precision(default_device()))
        return ShardedBase.load_for(ranks, folder, precision, mode)
    way = way_of(folder, precision, mode)
    if way.path == "fast":
        return BaseModel.load(folder, streamed=way.mode == "streamed", device=default_device())
    from workers.engine.general.base import GeneralBase

    return GeneralBase.load(folder, way.precision, way.mode, default_device())


def way_of(folder: Path, precision: str = "auto", mode: str = "auto") -> Way:
    """How `load_base` would read the base in `folder`. Raises EngineError where it couldn't."""
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        fast = fast_path_problem(config) is None
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise EngineError(f"The base model {folder.name} can't be read: prepare it again.") from error
    return resolve(fast=fast, precision=precision, mode=mode, quickest=quickest_precision(default_device()))


def resolve(*, fast: bool, precision: str, mode: str, quickest: str) -> Way:
    """`fast`: whether the fast path knows the architecture. `quickest` is what “auto” means here.

    Raises EngineError for what neither path can do.
    """
    if mode == "streamed":
        if not fast:
            raise EngineError(
                "Streaming the frozen weights works with Llama, Mistral and Qwen2 models only: "
                "choose the mode “resident”, or such a base."
            )
        if precision not in ("auto", "fp32"):
            raise EngineError("Streamed weights are computed in fp32: choose the precision “auto” or “fp32”.")
        return Way("fast", "fp32", "streamed")
    mode = "resident" if mode == "auto" else mode
    precision = quickest if precision == "auto" else precision
    if fast and precision == "fp32" and mode == "resident":
        return Way("fast", precision, mode)
    return Way("general", precision, mode)


def default_device() -> str:
    """The one device of this process: a worker sees no other accelerator than its own."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@lru_cache
def quickest_precision(device: str) -> str:
    """`bf16` where this device multiplies it much faster than `fp32`: measured, because CPUs differ."""
    return (
        "bf16" if WORTH_BF16 * _seconds(device, torch.bfloat16) < _seconds(device, torch.float32) else "fp32"
    )


def _seconds(device: str, dtype: torch.dtype) -> float:
    """Of one matrix product, the best of a few."""
    rows = _ROWS[device]
    matrix = torch.ones(rows, rows, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(1 + _TIMES):  # the first sets things up
        start = time.perf_counter()
        (matrix @ matrix).sum().item()  # waits for an accelerator to be done
        best = min(best, time.perf_counter() - start)
    return best
