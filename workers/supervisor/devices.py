"""Which devices train: one worker each, as HOUSESTYLE_TRAINING_DEVICES says.

""        one worker, on whatever PyTorch finds
"0,1"     one worker a GPU
"0+1,2"   one worker over the first two GPUs (see workers/trainer_command.py), another on the third
"cpu"     one worker that sees no GPU; "cpu,cpu" is two of them
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workers.supervisor.errors import StartError

DEVICES = "HOUSESTYLE_TRAINING_DEVICES"
DEVICE = "HOUSESTYLE_TRAINING_DEVICE"
THREADS = "HOUSESTYLE_TRAINING_THREADS"
CPU = "cpu"
# As nvidia-smi numbers them, or a name that `nvidia-smi -L` prints.
_GPU = re.compile(r"0|[1-9]\d{0,2}|(GPU|MIG)-[0-9a-fA-F-]{8,60}")


@dataclass(frozen=True)
class Device:
    """What one training worker computes on: "", "cpu", "0" or "0+1". `number` tells equal ones apart."""

    words: str = ""
    number: int = 1

    @property
    def gpus(self) -> tuple[str, ...]:
        return () if self.words in ("", CPU) else tuple(self.words.split("+"))

    @property
    def name(self) -> str:
        """Of its process, its log and its Celery node: training, training-0, training-0-1, training-cpu-2."""
        again = str(self.number) if self.number > 1 else ""
        return "-".join(part for part in ("training", *self.words.split("+"), again) if part)


ANY = Device()


def parse(words: str) -> tuple[Device, ...]:
    """One device for each worker. Raises StartError for a device that is none, or that is named twice."""
    if not words.strip():
        return (ANY,)
    found: list[Device] = []
    for part in (part.strip() for part in words.split(",")):
        device = Device(part, 1 + sum(part == CPU == other.words for other in found))
        if part != CPU and not all(_GPU.fullmatch(gpu) for gpu in part.split("+")):
            raise StartError(
                f"{DEVICES} says “{part}”, which is no device: write GPU numbers, as in 0,1 for one worker "
                "each or 0+1 for one worker over both, or cpu."
            )
        found.append(device)
    gpus = [gpu for device in found for gpu in device.gpus]
    if twice := next((gpu for gpu in gpus if gpus.count(gpu) > 1), None):
        raise StartError(f"{DEVICES} names GPU {twice} twice: a GPU trains for one worker.")
    return tuple(found)


def environment_of(device: Device, beside: Sequence[Device], given: Mapping[str, str]) -> dict[str, str]:
    """What a training worker's environment has on top of `given`.

    `beside` are all workers of the machine, this one included: they share its cores evenly. All get the same
    number of threads, because the bytes of a result depend on it: a run that another worker goes on with ends
    as it would have.
    """
    added: dict[str, str] = {}
    if device.words:
        added |= {
            DEVICE: device.words,
            "CUDA_VISIBLE_DEVICES": ",".join(device.gpus),  # nothing: no GPU is seen
            "CUDA_DEVICE_ORDER": given.get("CUDA_DEVICE_ORDER") or "PCI_BUS_ID",  # nvidia-smi's numbers
        }
    if len(device.gpus) > 1:  # the processes of one run talk to each other, and to nobody outside
        added |= {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
    if threads := given.get(THREADS):
        if not re.fullmatch(r"[1-9]\d{0,3}", threads):
            raise StartError(f"{THREADS} says “{threads}”: write a whole number of threads, 1 or more.")
        added["OMP_NUM_THREADS"] = threads
    elif len(beside) > 1 and not given.get("OMP_NUM_THREADS"):
        added["OMP_NUM_THREADS"] = str(max(1, usable_cores() // len(beside)))
    return added


def usable_cores() -> int:
    """The processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
