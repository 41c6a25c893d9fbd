from __future__ import annotations

import uuid

from django.db.models import QuerySet

from webapp.adapters.models import AdapterVersion
from webapp.serving.models import Deployment


def deployments(tenant_id: uuid.UUID) -> QuerySet[Deployment]:
    return Deployment.objects.of(tenant_id).select_related(
        "version__adapter", "version__run", "put_live_by__user"
    )


def live(tenant_id: uuid.UUID) -> Deployment | None:
    """The firm's open deployment, or None when nothing is live."""
    return deployments(tenant_id).filter(live_until=None).first()


def live_version(tenant_id: uuid.UUID) -> AdapterVersion | None:
    deployment = live(tenant_id)
    return deployment.version if deployment else None


def history(version: AdapterVersion) -> QuerySet[Deployment]:
    """When this version was live, the latest first."""
    return deployments(version.tenant_id).filter(version=version)
