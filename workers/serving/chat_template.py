"""Where a chat template stands beside a model or an adapter, and what it is known by."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

FILE, SETTINGS = "chat_template.jinja", "tokenizer_config.json"


def chat_template_of(own: bytes | None, settings: bytes | None) -> str | None:
    """The template in the contents of FILE and SETTINGS (None where there is no such file), as transformers
    finds it: a file of its own, or a tokenizer's setting. Raises ValueError for what is no text or JSON."""
    if own is not None:
        return own.decode("utf-8")
    values = json.loads(settings) if settings is not None else None
    template = values.get("chat_template") if isinstance(values, dict) else None
    return template if isinstance(template, str) else None


def find_chat_template(folder: Path) -> str | None:
    """The template of the model in `folder`. Raises OSError, and ValueError for a damaged file."""
    own, settings = (
        (folder / name).read_bytes() if (folder / name).is_file() else None for name in (FILE, SETTINGS)
    )
    return chat_template_of(own, settings)


def sha256_of(template: str) -> str:
    """What `chat_template_sha256` says of a template, in hexadecimal."""
    return hashlib.sha256(template.encode()).hexdigest()
