"""What a frozen dataset is: its manifest, every example as a line, and the SHA-256 over both.

Lines are canonical JSON: sorted keys, no blanks, UTF-8, a line feed each. `examples_sha256` in the manifest
is the digest of the examples' lines alone, which an export holds too: `tail -n +2 export.jsonl | sha256sum`
prints it. The dataset's own fingerprint goes on over the manifest's line.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.datasets.models import Example


def canonical(value: Any) -> bytes:
    """`value` as one line of JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def digest(value: Any) -> str:
    """The SHA-256 of `value` in its canonical form."""
    return hashlib.sha256(canonical(value)).hexdigest()


def line(example: Example) -> bytes:
    """An example as a line."""
    return canonical(
        {
            "split": example.split,
            "kind": example.kind,
            "document": example.document_name,
            "context": example.context,
            "prompt": example.prompt,
            "completion": example.completion,
        }
    )


@dataclass
class Fingerprint:
    """The SHA-256 of a dataset, taken while its examples pass by in order."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, example: Example) -> None:
        self._sha256.update(line(example))
        self.counts[example.kind, example.split] += 1

    def manifest(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """`settings` with what the examples say of themselves: their digest, and counts by kind and split."""
        counts: dict[str, dict[str, int]] = {}
        for (kind, split), n in sorted(self.counts.items()):
            counts.setdefault(kind, {})[split] = n
        return {**settings, "examples_sha256": self._sha256.hexdigest(), "counts": counts}

    def sha256(self, manifest: Mapping[str, Any]) -> str:
        """The fingerprint of the examples so far with this manifest."""
        whole = self._sha256.copy()
        whole.update(canonical(manifest))
        return whole.hexdigest()


def settings(
    *,
    parts: Sequence[Mapping[str, str]],
    matters: Sequence[str],
    seed: int,
    heldout_share: float,
    kinds: Sequence[str],
    max_tokens: int,
    builder_version: int,
    base_revision: str,
    chat_template_sha256: str,
    findings: Sequence[Mapping[str, Any]],
    parent_sha256: str = "",
) -> dict[str, Any]:
    """The part of a manifest that is known without its examples. `parts` are `{"id", "sha256", "split"}`."""
    return {
        "builder_version": builder_version,
        "base_revision": base_revision,
        "chat_template_sha256": chat_template_sha256,
        "seed": seed,
        "heldout_share": heldout_share,
        "kinds": list(kinds),
        "max_tokens": max_tokens,
        "documents": sorted((dict(part) for part in parts), key=lambda part: part["id"]),
        "matters": sorted(matters),
        "findings_sha256": digest(list(findings)),
        "parent_sha256": parent_sha256,
    }
