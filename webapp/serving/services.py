from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp.adapters.models import AdapterVersion, VersionState
from webapp.audit import services as audit
from webapp.core.errors import Conflict
from webapp.core.tenancy import firm_scope
from webapp.serving.models import Deployment
from webapp.tenants.models import Membership, Tenant
from webapp.tenants.permissions import Action, require
from webapp.training import selectors as training


@transaction.atomic
def put_live(*, member: Membership, version: AdapterVersion) -> Deployment:
    """Make an approved version the one that answers the firm's programs, in place of what was live.

    What was live ends even where `member` is screened off it and cannot know of it: a firm has one live
    adapter. Raises Conflict when it is not approved, is live already, or is of a base that isn't served.
    """
    require(member, Action.RELEASE)
    if version.state != VersionState.APPROVED:
        raise Conflict(f"{version} is not approved; approve it before you put it live.")
    if not training.is_of_served_base(version.run):
        raise Conflict(
            f"{version} was trained on a base model that the engine does not serve "
            f"({version.run.base_model}, {version.run.base_revision[:12]}); train it on the one it serves."
        )
    with firm_scope(member.tenant_id):
        before = _end_current(member)
    if before is not None and before.version_id == version.id:
        raise Conflict(f"{version} is already live.")
    deployment: Deployment = Deployment.objects.create(
        tenant_id=member.tenant_id, version=version, put_live_by=member
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="version.put_live",
        target=version,
        label=str(version),
        sha256=version.sha256,
    )
    return deployment


@transaction.atomic
def take_off(*, member: Membership) -> None:
    """Leave the firm without a live adapter: its programs get an error that says so, never the base.

    Raises Conflict when nothing is live, or nothing that `member` may know of.
    """
    require(member, Action.RELEASE)
    before = _end_current(member)
    if before is None:
        raise Conflict("Nothing is live.")
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="version.taken_off",
        target=before.version,
        label=str(before.version),
    )


def _end_current(member: Membership) -> Deployment | None:
    """End what is live, as far as the transaction sees it. The firm's row is locked first, so that two people
    cannot both put something live."""
    Tenant.objects.select_for_update(no_key=True).get(id=member.tenant_id)
    current: Deployment | None = (
        Deployment.objects.of(member.tenant_id)
        .select_related("version__adapter")
        .filter(live_until=None)
        .first()
    )
    if current is not None:
        current.live_until = timezone.now()
        current.save(update_fields=["live_until"])
    return current
