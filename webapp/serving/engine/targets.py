"""Which replicas there are, and what they can be asked for: a version's files, under a name used once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion
from webapp.serving import empty_adapter
from webapp.serving.engine_settings import Kind, Replica

BASE = "base"
# The names that versions have (AdapterVersion.engine_name); all others are left alone.
OURS = re.compile(r"lo-[0-9a-f]{32}")
WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class Target:
    """An adapter to load: `sha256` is what its weights must have, `base_revision` of which base they are
    (empty: of the only one there was)."""

    name: str
    label: str
    folder: Path
    sha256: str
    base_revision: str = ""

    @classmethod
    def of(cls, version: AdapterVersion) -> Target:
        return cls(
            name=version.engine_name,
            label=str(version),
            folder=adapters.folder(version),
            sha256=version.sha256,
            base_revision=version.run.base_revision,
        )


def empty_target() -> Target:
    """Through which a vLLM is asked for the base (see `empty_adapter`). Raises Unavailable."""
    folder, digest = empty_adapter.files()
    return Target(empty_adapter.EMPTY, "the base model", folder, digest)


def replicas() -> tuple[Replica, ...]:
    """The engines of this installation, in the order in which they are named."""
    short = Replica("engine", Kind.EMBEDDED, settings.ENGINE_URL, settings.ENGINE_TOKEN)
    named: tuple[Replica, ...] = settings.ENGINES
    return named or (short,)
