"""API keys: 32 random bytes that are shown once. A random secret needs no slow hash, so SHA-256 it is."""

from __future__ import annotations

import hashlib
import secrets

PREFIX = "hs_"


def generate() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def visible_prefix(secret: str) -> str:
    return secret[:9]
