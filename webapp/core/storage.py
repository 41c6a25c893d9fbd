"""Files of the firms: tenant-prefixed random names, a SHA-256 beside each, encrypted at rest.

Uploads and extracted text are sealed with AES-256-GCM under the firm's own key, which is itself wrapped by
the installation's master key (NIST SP 800-38D). The storage name is authenticated with the content, so that
one firm's file cannot be passed off as another's.
"""

from __future__ import annotations

import base64
import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

NONCE_BYTES = 12


class Tampered(Exception):
    """A stored file is not what was written: wrong key, wrong name or changed bytes."""


@dataclass(frozen=True)
class Stored:
    name: str
    sha256: str
    size: int


def new_wrapped_key(tenant_id: uuid.UUID) -> bytes:
    """A fresh 256-bit key for a firm, wrapped by the master key."""
    return _seal(_master(), AESGCM.generate_key(256), tenant_id.bytes)


def put(*, tenant_id: uuid.UUID, wrapped_key: bytes | memoryview, area: str, data: bytes) -> Stored:
    """Seal and keep `data`; `sha256` and `size` are those of the plain bytes."""
    name = f"{area}/{tenant_id}/{uuid.uuid4().hex}"
    sealed = _seal(_unwrap(tenant_id, wrapped_key), data, name.encode())
    written = default_storage.save(name, ContentFile(sealed))
    if written != name:  # a random name cannot be taken; if it is, the name would no longer be authentic
        default_storage.delete(written)
        raise FileExistsError(name)
    return Stored(name, hashlib.sha256(data).hexdigest(), len(data))


def get(*, tenant_id: uuid.UUID, wrapped_key: bytes | memoryview, name: str) -> bytes:
    """The plain bytes of a stored file. Raises Tampered, FileNotFoundError."""
    with default_storage.open(name) as file:
        sealed = file.read()
    return _open(_unwrap(tenant_id, wrapped_key), sealed, name.encode())


def delete(name: str) -> None:
    default_storage.delete(name)


def adapter_dir(tenant_id: uuid.UUID, version_id: uuid.UUID) -> Path:
    """Where an adapter version's two files are: a local folder, because engines read adapters from disk."""
    return Path(settings.ADAPTERS_DIR) / str(tenant_id) / str(version_id)


def derived_key(*, tenant_id: uuid.UUID, wrapped_key: bytes | memoryview, purpose: str) -> bytes:
    """A 256-bit key for one purpose of a firm (HKDF, RFC 5869), the same each time.

    No way leads back from it to the firm's own: a process that is handed it can open nothing else.
    """
    own = _unwrap(tenant_id, wrapped_key)
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"housestyle {purpose}".encode()).derive(own)


def checkpoint_dir(tenant_id: uuid.UUID, run_id: uuid.UUID) -> Path:
    """Where a training run keeps what it needs to go on after its worker's death: a local folder."""
    return Path(settings.CHECKPOINTS_DIR) / str(tenant_id) / str(run_id)


def _master() -> bytes:
    return base64.urlsafe_b64decode(settings.MASTER_KEY)


def _unwrap(tenant_id: uuid.UUID, wrapped_key: bytes | memoryview) -> bytes:
    return _open(_master(), bytes(wrapped_key), tenant_id.bytes)


def _seal(key: bytes, data: bytes, context: bytes) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, context)


def _open(key: bytes, sealed: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context)
    except InvalidTag:
        raise Tampered from None
