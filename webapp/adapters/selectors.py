from __future__ import annotations

import re
import uuid
from pathlib import Path

from django.db.models import QuerySet

from webapp.adapters.models import Adapter, AdapterVersion, Approval, VersionState
from webapp.core import storage
from webapp.core.errors import NotFound

LABEL = re.compile(r"([a-z0-9-]{1,60})@([0-9]{1,9})")


def adapters(tenant_id: uuid.UUID) -> QuerySet[Adapter]:
    return Adapter.objects.of(tenant_id)


def adapter(tenant_id: uuid.UUID, adapter_id: uuid.UUID) -> Adapter:
    """The gate to an adapter. Raises NotFound for everybody outside the firm."""
    found = adapters(tenant_id).filter(id=adapter_id).first()
    if found is None:
        raise NotFound
    return found


def versions(tenant_id: uuid.UUID) -> QuerySet[AdapterVersion]:
    return AdapterVersion.objects.of(tenant_id).select_related(
        "adapter", "run__dataset", "run__job", "run__started_by__user"
    )


def version(tenant_id: uuid.UUID, version_id: uuid.UUID) -> AdapterVersion:
    """The gate to a version. Raises NotFound for everybody outside the firm."""
    found = versions(tenant_id).filter(id=version_id).first()
    if found is None:
        raise NotFound
    return found


def version_by_label(tenant_id: uuid.UUID, label: str) -> AdapterVersion:
    """The version that `name@number` names in this firm. Raises NotFound."""
    parts = LABEL.fullmatch(label)
    found = parts and versions(tenant_id).filter(adapter__name=parts[1], number=int(parts[2])).first()
    if not found:
        raise NotFound
    return found


def approvals(tenant_id: uuid.UUID) -> QuerySet[Approval]:
    return Approval.objects.of(tenant_id).select_related("version__adapter", "decided_by__user")


def folder(version: AdapterVersion) -> Path:
    """The folder with the version's PEFT files."""
    return storage.adapter_dir(version.tenant_id, version.id)


def waiting(tenant_id: uuid.UUID) -> QuerySet[AdapterVersion]:
    """Versions on which nobody has decided, the oldest first."""
    return versions(tenant_id).filter(state=VersionState.CANDIDATE).order_by("created_at")


def decisions(version: AdapterVersion) -> QuerySet[Approval]:
    return approvals(version.tenant_id).filter(version=version)
