from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import Max

from webapp.adapters.models import Adapter, AdapterVersion, Approval, Decision, VersionState
from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require
from webapp.training.models import TrainingRun

MAX_NOTE = 2000


@transaction.atomic
def add_version(*, run: TrainingRun, version_id: uuid.UUID, sha256: str, size: int) -> AdapterVersion:
    """The version that a finished run made; its files already lie in `storage.adapter_dir`."""
    adapter, _ = Adapter.objects.get_or_create(tenant_id=run.tenant_id, name=run.adapter_name)
    Adapter.objects.select_for_update().get(id=adapter.id)  # numbers are given one run at a time
    last = (
        AdapterVersion.objects.of(run.tenant_id).filter(adapter=adapter).aggregate(n=Max("number"))["n"] or 0
    )
    version = AdapterVersion.objects.create(
        id=version_id,
        tenant_id=run.tenant_id,
        adapter=adapter,
        number=last + 1,
        run=run,
        sha256=sha256,
        size=size,
    )
    audit.record(
        tenant_id=run.tenant_id,
        actor=None,
        action="version.created",
        target=version,
        label=str(version),
        run=str(run.id),
        sha256=sha256,
    )
    return version


@transaction.atomic
def decide(*, member: Membership, version: AdapterVersion, decision: str, note: str = "") -> Approval:
    """Approve or reject a version. Nobody decides on a run they started.

    Raises NotAllowed, Invalid, Conflict when it has been decided.
    """
    require(member, Action.APPROVE)
    if decision not in Decision.values:
        raise Invalid(
            "Decide “approved” or “rejected”.", fields={"decision": "Choose “approved” or “rejected”."}
        )
    if len(note) > MAX_NOTE:
        raise Invalid(
            f"Keep the note under {MAX_NOTE} characters.", fields={"note": "This note is too long."}
        )
    if version.run.started_by_id == member.id:
        raise NotAllowed("You started this run, so somebody else has to approve or reject what came of it.")
    waiting = AdapterVersion.objects.of(member.tenant_id).filter(id=version.id, state=VersionState.CANDIDATE)
    if not waiting.update(state=VersionState(decision)):
        raise Conflict(f"{version} has already been decided on.")
    version.state = decision
    approval: Approval = Approval.objects.create(
        tenant_id=member.tenant_id, version=version, decision=decision, note=note.strip(), decided_by=member
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action=f"version.{decision}",
        target=version,
        label=str(version),
        sha256=version.sha256,
    )
    return approval
