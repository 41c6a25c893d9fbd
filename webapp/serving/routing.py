"""Which version answers a request for “the firm's live one”: the live one, or the one on trial beside it."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model

from webapp.adapters.models import Adapter, AdapterVersion
from webapp.training.models import TrainingRun

# Every request asks this. Written out it costs a fraction of what Django's joins cost for the same question.
_OPEN = """
    SELECT v.*, a.name AS adapter_name, t.base_model, t.base_revision, o.rollout_id, o.share, o.shadow
    FROM (
      SELECT version_id, NULL::uuid AS rollout_id, 0 AS share, false AS shadow
      FROM serving_deployment WHERE tenant_id = %(tenant)s AND live_until IS NULL
      UNION ALL
      SELECT version_id, id, share, shadow
      FROM serving_rollout WHERE tenant_id = %(tenant)s AND ended_at IS NULL
    ) o
    JOIN adapters_adapterversion v ON v.id = o.version_id AND v.tenant_id = %(tenant)s
    JOIN adapters_adapter a ON a.id = v.adapter_id
    JOIN training_trainingrun t ON t.id = v.run_id
    """

M = TypeVar("M", bound=Model)

_random = random.SystemRandom()


@dataclass(frozen=True)
class Routed:
    """`version` answers, None where nothing is live. `shadow`, where there is one, answers a copy of the
    request, for nobody to read (`serving.shadow`)."""

    version: AdapterVersion | None
    shadow: AdapterVersion | None = None


@dataclass(frozen=True)
class Trial:
    """An open rollout, as far as requests are concerned: `share` in percent."""

    rollout_id: uuid.UUID
    version: AdapterVersion
    share: int
    shadow: bool


@dataclass(frozen=True)
class Open:
    """What may answer a firm's programs now."""

    live: AdapterVersion | None
    trial: Trial | None = None

    def choose(self, by: str | None) -> Routed:
        trial = self.trial
        if self.live is None or trial is None or not _is_in_share(trial, by):
            return Routed(self.live)
        return Routed(self.live, trial.version) if trial.shadow else Routed(trial.version)


def choose(tenant_id: uuid.UUID, *, by: str | None = None) -> Routed:
    """What answers one request, as far as the transaction's viewer may know of it; one query.

    With `by` (OpenAI's `user`, a conversation's id) the same client stays on the same side for as long as the
    trial lasts, and changes it at most once while its share grows. Without it every request is drawn anew.
    """
    return what_is_open(tenant_id).choose(by)


def what_is_open(tenant_id: uuid.UUID) -> Open:
    """The live version and the one on trial, with what loading them takes: adapter and base."""
    live: AdapterVersion | None = None
    trial: Trial | None = None
    rows: Iterable[AdapterVersion] = AdapterVersion.objects.raw(_OPEN, {"tenant": tenant_id})
    for row in rows:
        told = vars(row)
        row.adapter = _part(Adapter, {"id": row.adapter_id, "name": told["adapter_name"]})
        base = {name: told[name] for name in ("base_model", "base_revision")}
        row.run = _part(TrainingRun, {"id": row.run_id, **base})
        if told["rollout_id"] is None:
            live = row
        else:
            trial = Trial(told["rollout_id"], row, told["share"], told["shadow"])
    return Open(live, trial)


def _part(model: type[M], values: dict[str, Any]) -> M:
    """A row of which these fields were read; asking it for another one asks the database."""
    return model.from_db(None, list(values), list(values.values()))


def _is_in_share(trial: Trial, by: str | None) -> bool:
    place = _random.random() if by is None else _place(trial.rollout_id, by)
    return place * 100 < trial.share


def _place(rollout_id: uuid.UUID, by: str) -> float:
    """Where a client stands between 0 and 1: evenly spread, and elsewhere in another trial."""
    digest = hashlib.sha256(rollout_id.bytes + by.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) / 2**64
