"""A version on trial beside the live one: send it a share of the firm's requests, change it, end it."""

from __future__ import annotations

from django.db import transaction

from webapp.adapters.models import AdapterVersion
from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.serving import selectors, services
from webapp.serving.models import Outcome, Rollout
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

# What pages offer, in percent. Any whole number from 0, which pauses a trial, to 100 will do.
STEPS = (5, 10, 25, 50, 100)


@transaction.atomic
def send_share(*, member: Membership, version: AdapterVersion, share: int, shadow: bool = False) -> Rollout:
    """Let `version` answer `share` percent of the requests for the live one, or with `shadow` a copy of them.

    It begins a trial in place of another version's, or changes the one that `version` is on. All of the
    requests, and not of copies, puts the version live. Raises Invalid, or Conflict when nothing is live, the
    version is live itself, or it may not answer.
    """
    require(member, Action.RELEASE)
    if isinstance(share, bool) or not 0 <= share <= 100:
        sentence = "Send a share between 0 and 100 percent."
        raise Invalid(sentence, fields={"share": sentence})
    services.lock(member)
    services.check_can_answer(version)
    live = selectors.live(member.tenant_id)
    if live is None:
        raise Conflict(f"Nothing is live that {version} could be tried beside; put it live instead.")
    if live.version_id == version.id:
        raise Conflict(f"{version} is live and answers every request already.")
    trial = selectors.rollout(member.tenant_id)
    everything = share == 100 and not shadow
    if trial is not None and trial.version_id == version.id:
        _change(member, trial, share, shadow, everything)
    else:
        services.end_rollout(member, Outcome.REPLACED)
        trial = Rollout.objects.create(
            tenant_id=member.tenant_id,
            version=version,
            against=live,
            share=0 if everything else share,
            shadow=shadow,
            started_by=member,
        )
        _audit(member, trial, "version.trial_begun", share)
    if everything:
        services.put_live(member=member, version=version)
        trial.refresh_from_db()
    return trial


@transaction.atomic
def withdraw(*, member: Membership, version: AdapterVersion) -> None:
    """End the trial of `version`: the live one answers everything again. Raises Conflict without a trial."""
    require(member, Action.RELEASE)
    services.lock(member)
    trial = selectors.rollout(member.tenant_id)
    if trial is None or trial.version_id != version.id:
        raise Conflict(f"{version} is not on trial.")
    services.end_rollout(member, Outcome.WITHDRAWN)
    _audit(member, trial, "version.trial_withdrawn", trial.share)


def _change(member: Membership, trial: Rollout, share: int, shadow: bool, everything: bool) -> None:
    if everything:  # put_live ends the trial, and its own entry in the log says so
        return
    if (trial.share, trial.shadow) == (share, shadow):
        return
    trial.share, trial.shadow = share, shadow
    trial.save(update_fields=["share", "shadow"])
    _audit(member, trial, "version.trial_changed", share)


def _audit(member: Membership, trial: Rollout, action: str, share: int) -> None:
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action=action,
        target=trial.version,
        label=str(trial.version),
        share=share,
        shadow=trial.shadow,
    )
