"""What is live: put a version live, roll back, take it off, retire it.

Each takes the firm's lock first, so that of two people who act at once the second meets what the first left.
What they end, they end for the whole firm, also where `member` is screened off it and cannot know of it: a
firm has one live adapter and one version on trial.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion, VersionState
from webapp.audit import services as audit
from webapp.core.errors import Conflict
from webapp.core.tenancy import firm_scope
from webapp.serving import reconcile, selectors
from webapp.serving.models import Deployment, Outcome, Rollout
from webapp.tenants.models import Membership, Tenant
from webapp.tenants.permissions import Action, require
from webapp.training import selectors as training


@transaction.atomic
def put_live(*, member: Membership, version: AdapterVersion) -> Deployment:
    """Make an approved version the one that answers the firm's programs, in place of what was live.

    A trial ends with it. Raises Conflict when the version is not approved, is live already, or is of a base
    that isn't served.
    """
    require(member, Action.RELEASE)
    lock(member)
    return _put_live(member, version, action="version.put_live")


@transaction.atomic
def roll_back(*, member: Membership, to: AdapterVersion | None = None) -> Deployment:
    """Put the version live again that was live before, as far as `member` may know; `to` says which is meant.

    Raises Conflict when there was none, it has been retired, or it is no longer the one that is meant.
    """
    require(member, Action.RELEASE)
    lock(member)
    before = selectors.previous(member.tenant_id, selectors.live(member.tenant_id))
    if before is None:
        raise Conflict("No other version was live before, so there is nothing to roll back to.")
    if to is not None and to.id != before.id:
        raise Conflict(
            f"What is live has changed meanwhile: rolling back would now put {before} live and not {to}; "
            "look again and decide anew."
        )
    if before.state != VersionState.APPROVED:
        raise Conflict(
            f"{before} was live before and has been {before.get_state_display().lower()} since; "
            "put another approved version live."
        )
    return _put_live(member, before, action="version.rolled_back")


@transaction.atomic
def take_off(*, member: Membership) -> None:
    """Leave the firm without a live adapter: its programs get an error that says so, never the base.

    A trial ends with it. Raises Conflict when nothing is live, or nothing that `member` may know of.
    """
    require(member, Action.RELEASE)
    lock(member)
    before = _end_live(member)
    if before is None:
        raise Conflict("Nothing is live.")
    end_rollout(member, Outcome.WITHDRAWN)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="version.taken_off",
        target=before.version,
        label=str(before.version),
    )


@transaction.atomic
def retire(*, member: Membership, version: AdapterVersion) -> None:
    """Let an approved version never answer again. Requests that it is answering still end whole.

    Raises Conflict when it is not approved, is live or is on trial.
    """
    require(member, Action.RELEASE)
    lock(member)
    live, rollout = selectors.live(member.tenant_id), selectors.rollout(member.tenant_id)
    if live is not None and live.version_id == version.id:
        raise Conflict(f"{version} is live; put another version live or take it off before you retire it.")
    if rollout is not None and rollout.version_id == version.id:
        raise Conflict(f"{version} is on trial; end the trial before you retire it.")
    approved = AdapterVersion.objects.of(member.tenant_id).filter(id=version.id, state=VersionState.APPROVED)
    if not approved.update(state=VersionState.RETIRED, retired_at=timezone.now(), retired_by=member):
        raise Conflict(f"{version} is not approved, so it can't be retired.")
    version.refresh_from_db()
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="version.retired",
        target=version,
        label=str(version),
        sha256=version.sha256,
    )


def lock(member: Membership) -> None:
    """One person at a time changes what answers a firm; held to the transaction's end. Then the engines are
    brought to hold what answers."""
    Tenant.objects.select_for_update(no_key=True).get(id=member.tenant_id)
    transaction.on_commit(reconcile.wake)


def check_can_answer(version: AdapterVersion) -> None:
    """Raises Conflict unless the version is approved, now that the firm is locked, and of the served base."""
    state = adapters.version(version.tenant_id, version.id).state
    if state == VersionState.RETIRED:
        raise Conflict(f"{version} is retired and never answers again; choose another version.")
    if state != VersionState.APPROVED:
        raise Conflict(f"{version} is not approved; approve it before you put it live.")
    if not training.is_of_served_base(version.run):
        raise Conflict(
            f"{version} was trained on a base model that the engine does not serve "
            f"({version.run.base_model}, {version.run.base_revision[:12]}); train it on the one it serves."
        )


def end_rollout(member: Membership, outcome: Outcome) -> None:
    """End the firm's open trial, if there is one, also where `member` cannot see it."""
    ended = {"ended_at": timezone.now(), "ended_by": member, "outcome": outcome}
    if outcome is Outcome.PROMOTED:
        ended |= {"share": 100, "shadow": False}
    with firm_scope(member.tenant_id):
        Rollout.objects.of(member.tenant_id).filter(ended_at=None).update(**ended)


def _put_live(member: Membership, version: AdapterVersion, *, action: str) -> Deployment:
    check_can_answer(version)
    with firm_scope(member.tenant_id):
        before = _end_live(member)
        trial = selectors.rollout(member.tenant_id)
        promoted = trial is not None and trial.version_id == version.id
        end_rollout(member, Outcome.PROMOTED if promoted else Outcome.REPLACED)
    if before is not None and before.version_id == version.id:
        raise Conflict(f"{version} is already live.")
    deployment: Deployment = Deployment.objects.create(
        tenant_id=member.tenant_id, version=version, put_live_by=member
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action=action,
        target=version,
        label=str(version),
        sha256=version.sha256,
    )
    return deployment


def _end_live(member: Membership) -> Deployment | None:
    """End what is live, as far as the transaction sees it."""
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
