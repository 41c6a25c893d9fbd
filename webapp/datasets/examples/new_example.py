"""What every kind of example gives back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NewExample:
    """One pair to learn from: asked `prompt`, the firm would have written `completion`.

    `context` is what was said before, in chats: messages with `role` and `content`. `source` names the
    document that an imported example was once made from.
    """

    kind: str
    prompt: str
    completion: str
    context: tuple[dict[str, str], ...] = ()
    source: str = ""
