"""The installation's own secrets: made once, kept in one file that only its owner may read."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Secrets:
    """`master_key` is 32 random bytes in URL-safe base64; it wraps every firm's own key."""

    secret_key: str
    master_key: str
    engine_token: str


def load(home: Path) -> Secrets:
    """The secrets of `home`, made at the first call. Safe when several processes start at once."""
    path = home / "secrets.json"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = Secrets(
            secret_key=secrets.token_urlsafe(48),
            master_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            engine_token=secrets.token_urlsafe(32),
        )
        beside = home / f"secrets.json.{os.getpid()}"
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(made), file)
        try:
            os.link(beside, path)  # fails if another process was first: then its secrets count
        except FileExistsError:
            pass
        finally:
            beside.unlink()
    return Secrets(**json.loads(path.read_text()))
