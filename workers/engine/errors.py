"""What the engine refuses."""

from __future__ import annotations


class EngineError(Exception):
    """An expected problem. Its text is one sentence for a person: what is wrong and what to do."""
