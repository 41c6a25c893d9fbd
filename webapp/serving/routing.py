"""Which version answers a request for “the firm's live one”: the live one, or the one on trial beside it."""

from __future__ import annotations

import hashlib
import random
import uuid
from dataclasses import dataclass

from django.db.models import FilteredRelation, Q

from webapp.adapters.models import AdapterVersion
from webapp.serving.models import Deployment, Rollout

_random = random.SystemRandom()


@dataclass(frozen=True)
class Routed:
    """`version` answers, None where nothing is live. `shadow`, where there is one, answers a copy of the
    request, for nobody to read (`serving.shadow`)."""

    version: AdapterVersion | None
    shadow: AdapterVersion | None = None


def choose(tenant_id: uuid.UUID, *, by: str | None = None) -> Routed:
    """What answers one request, as far as the transaction's viewer may know of it; one query.

    With `by` (OpenAI's `user`, a conversation's id) the same client stays on the same side for as long as the
    trial lasts, and changes it at most once while its share grows. Without it every request is drawn anew.
    """
    deployment = (
        Deployment.objects.of(tenant_id)
        .filter(live_until=None)
        .annotate(trial=FilteredRelation("rollouts", condition=Q(rollouts__ended_at=None)))
        .select_related("version__adapter", "version__run", "trial__version__adapter", "trial__version__run")
        .first()
    )
    if deployment is None:
        return Routed(None)
    trial: Rollout | None = deployment.trial
    if trial is None or not _is_in_share(trial, by):
        return Routed(deployment.version)
    if trial.shadow:
        return Routed(deployment.version, trial.version)
    return Routed(trial.version)


def _is_in_share(trial: Rollout, by: str | None) -> bool:
    place = _random.random() if by is None else _place(trial.id, by)
    return place * 100 < trial.share


def _place(rollout_id: uuid.UUID, by: str) -> float:
    """Where a client stands between 0 and 1: evenly spread, and elsewhere in another trial."""
    digest = hashlib.sha256(rollout_id.bytes + by.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64
