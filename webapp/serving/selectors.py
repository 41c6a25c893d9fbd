from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import connection
from django.db.models import Aggregate, Avg, Count, FloatField, Q, QuerySet

from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import firm_scope, worker_scope
from webapp.serving.models import Deployment, Rollout, ShadowResult


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


def previous(tenant_id: uuid.UUID, live: Deployment | None) -> AdapterVersion | None:
    """What a roll-back returns to: the version that was live before `live`, or last where nothing is."""
    past = deployments(tenant_id).exclude(live_until=None)
    if live is not None:
        past = past.exclude(version=live.version_id)
    found = past.first()
    return found.version if found else None


def rollouts(tenant_id: uuid.UUID) -> QuerySet[Rollout]:
    return Rollout.objects.of(tenant_id).select_related(
        "version__adapter", "version__run", "against__version__adapter", "started_by__user", "ended_by__user"
    )


def rollout(tenant_id: uuid.UUID) -> Rollout | None:
    """The firm's open rollout, or None when no version is on trial."""
    return rollouts(tenant_id).filter(ended_at=None).first()


def trials(version: AdapterVersion) -> QuerySet[Rollout]:
    """When this version was on trial, the latest first."""
    return rollouts(version.tenant_id).filter(version=version)


class Median(Aggregate):
    """PostgreSQL's `percentile_cont(0.5)`."""

    function = "percentile_cont"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass(frozen=True)
class ShadowNumbers:
    """What the copies of a trial came to. Times in milliseconds to the whole answer, lengths in characters;
    both are None without an answer."""

    copies: int
    errors: int
    median: float | None
    live_median: float | None
    length: float | None
    live_length: float | None
    compared: int
    same: int

    @property
    def answered(self) -> int:
        return self.copies - self.errors

    @property
    def same_share(self) -> float | None:
        """Of the answers that can be compared word for word; None while there are none."""
        return self.same / self.compared if self.compared else None


def shadow_numbers(rollout: Rollout) -> ShadowNumbers:
    answered = Q(error="")
    found = (
        ShadowResult.objects.of(rollout.tenant_id)
        .filter(rollout=rollout)
        .aggregate(
            copies=Count("id"),
            errors=Count("id", filter=~answered),
            median=Median("milliseconds", filter=answered),
            live_median=Median("live_milliseconds", filter=answered),
            length=Avg("characters", filter=answered),
            live_length=Avg("live_characters", filter=answered),
            compared=Count("same"),
            same=Count("id", filter=Q(same=True)),
        )
    )
    return ShadowNumbers(**found)


@dataclass(frozen=True)
class Wanted:
    """A version that engines must hold, by its id and its firm's."""

    tenant_id: uuid.UUID
    version_id: uuid.UUID

    @property
    def engine_name(self) -> str:
        return AdapterVersion(id=self.version_id).engine_name


def wanted_ids() -> list[Wanted]:
    """What engines must hold for all firms: the live versions and those on trial. One query; workers only."""
    with worker_scope(), connection.cursor() as cursor:
        cursor.execute("SELECT tenant_id, version_id FROM housestyle_wanted() ORDER BY 1, 2")
        return [Wanted(*row) for row in cursor.fetchall()]


def wanted(tenant_id: uuid.UUID | None = None) -> list[AdapterVersion]:
    """The versions that engines must hold: of one firm, as far as the transaction sees it, or of all firms,
    which is for workers and takes a query more for each firm."""
    if tenant_id is None:
        firms = dict.fromkeys(row.tenant_id for row in wanted_ids())
        return [version for firm in firms for version in _wanted_of(firm)]
    return list(_wanted_in_scope(tenant_id))


def _wanted_of(tenant_id: uuid.UUID) -> list[AdapterVersion]:
    with firm_scope(tenant_id):
        return list(_wanted_in_scope(tenant_id))


def _wanted_in_scope(tenant_id: uuid.UUID) -> QuerySet[AdapterVersion]:
    open_ones = [
        model.objects.of(tenant_id).filter(**{field: None}).values("version")
        for model, field in ((Deployment, "live_until"), (Rollout, "ended_at"))
    ]
    return (
        AdapterVersion.objects.of(tenant_id)
        .filter(Q(id__in=open_ones[0]) | Q(id__in=open_ones[1]))
        .select_related("adapter", "run")
        .order_by("id")
    )
