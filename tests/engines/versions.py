"""Adapter versions as the engine client needs them, in files and not in the database."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path

from webapp.adapters.models import Adapter, AdapterVersion
from webapp.core import storage
from webapp.serving.engine.targets import WEIGHTS
from webapp.training.models import TrainingRun


def version(files: Path | None = None, *, name: str = "briefs") -> AdapterVersion:
    """A version with the files of `files`, or with some that only a stand-in would load."""
    tenant_id, version_id = uuid.uuid4(), uuid.uuid4()
    folder = storage.adapter_dir(tenant_id, version_id)
    if files is None:
        folder.mkdir(parents=True)
        (folder / WEIGHTS).write_bytes(version_id.bytes)
    else:
        shutil.copytree(files, folder)
    return AdapterVersion(
        id=version_id,
        tenant_id=tenant_id,
        adapter=Adapter(name=name),
        number=1,
        run=TrainingRun(base_revision=""),
        sha256=hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
    )
