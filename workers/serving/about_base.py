"""What an adapter is compared with, so that none is put on another base than it was trained on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePath

from workers.serving.chat_template import find_chat_template, sha256_of
from workers.serving.errors import StartError

ABOUT = "housestyle.json"  # beside a prepared base, and beside an adapter that was trained here


@dataclass(frozen=True)
class AboutBase:
    """What is known of the base that is served; None where nothing is."""

    names: frozenset[str] = frozenset()  # every name it goes by, in small letters
    revision: str | None = None  # SHA-256 over its weights
    chat_template_sha256: str | None = None

    @classmethod
    def read(cls, folder: Path) -> AboutBase:
        """Of the base in `folder`, with the template it really uses. Raises StartError for damaged files."""
        try:
            template = find_chat_template(folder)
            said = json.loads((folder / ABOUT).read_text("utf-8")) if (folder / ABOUT).is_file() else {}
        except (OSError, ValueError):
            raise StartError(
                f"What {folder} says of its base model can't be read: prepare it again."
            ) from None
        names = {folder.resolve().name, *(str(said[key]) for key in ("name", "source") if said.get(key))}
        return cls(
            names=frozenset(name_of(name) for name in names),
            revision=said.get("revision"),
            chat_template_sha256=sha256_of(template) if template is not None else None,
        )


def name_of(path: str) -> str:
    """The part by which two ways of naming one model agree: `org/Model`, `/somewhere/Model`, `model`."""
    return PurePath(path.strip()).name.lower()
