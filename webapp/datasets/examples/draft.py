"""What every kind of example gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExampleDraft:
    """One pair to learn from: asked `prompt`, the firm would have written `completion`."""

    kind: str
    prompt: str
    completion: str
