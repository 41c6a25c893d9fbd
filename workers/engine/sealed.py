"""Files that hold a firm's text in some form, encrypted at rest (AES-256-GCM, NIST SP 800-38D)."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class Sealer:
    """Writes and reads sealed files. A file's purpose is authenticated: it can't stand in for another."""

    def __init__(self, key: bytes) -> None:
        """`key` has 32 bytes."""
        self._cipher = AESGCM(key)

    def write(self, path: Path, data: bytes | memoryview, purpose: str) -> None:
        """The file is whole or absent, but for a loss of power, which `read` notices."""
        nonce = os.urandom(NONCE_BYTES)
        beside = path.with_name(f"{path.name}.part")
        beside.write_bytes(nonce + self._cipher.encrypt(nonce, data, purpose.encode()))
        beside.replace(path)

    def read(self, path: Path, purpose: str) -> bytes | None:
        """What was written; None for a file that is absent, damaged, or sealed otherwise."""
        try:
            sealed = path.read_bytes()
            return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], purpose.encode())
        except (FileNotFoundError, InvalidTag, ValueError):
            return None
