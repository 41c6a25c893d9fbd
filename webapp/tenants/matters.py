"""Matters and their screens: what a firm keeps apart inside itself (ABA Model Rules 1.9 and 1.10).

The database enforces a screen (see `core.tenancy`); here is who may set one, and what is kept of it.
"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.utils import timezone

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import firm_scope
from webapp.tenants import selectors
from webapp.tenants.models import Matter, Membership, Screen, Tenant
from webapp.tenants.permissions import Action, require

MAX_NAME = 200
MAX_NUMBER = 60
MAX_REASON = 2000


@transaction.atomic
def create_matter(*, member: Membership, name: str, client: str = "", number: str = "") -> Matter:
    """A matter that documents can be put into. Raises Invalid, Conflict when its number is taken."""
    require(member, Action.UPLOAD)
    said = _check(member, name, client, number)
    matter: Matter = Matter.objects.create(tenant_id=member.tenant_id, **said)
    audit.record(tenant_id=member.tenant_id, actor=member, action="matter.created", target=matter)
    return matter


@transaction.atomic
def rename(*, member: Membership, matter: Matter, name: str, client: str = "", number: str = "") -> None:
    """Correct how a matter is called. Raises Invalid, Conflict for “General” and for a taken number."""
    require(member, Action.UPLOAD)
    if matter.is_general:
        raise Conflict("“General” is where everything else belongs; its name stays.")
    said = _check(member, name, client, number, but=matter.id)
    for field, value in said.items():
        setattr(matter, field, value)
    matter.save(update_fields=list(said))
    audit.record(tenant_id=member.tenant_id, actor=member, action="matter.renamed", target=matter)


@transaction.atomic
def screen(*, member: Membership, matter: Matter, person: Membership, reason: str) -> Screen:
    """From their next request on, `person` sees nothing of the matter, nor of anything made from it.

    A firm admin screens anybody; everybody may screen themselves, which declares a conflict. Raises Invalid
    without a reason, Conflict for “General” and for who is screened already.
    """
    if person.id != member.id:
        require(member, Action.MANAGE)
    if matter.is_general:
        raise Conflict(
            "Nobody can be screened off “General”; put the documents into a matter of their own first."
        )
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        says = f"Write why, in at most {MAX_REASON} characters; it is kept with the screen."
        raise Invalid("Say why this person is screened off.", fields={"reason": says})
    _one_at_a_time(member)
    if selectors.screens(matter).filter(member=person).exists():
        raise Conflict(f"{person.user} is screened off this matter already.")
    made: Screen = Screen.objects.create(
        tenant_id=member.tenant_id, matter=matter, member=person, reason=reason, set_by=member
    )
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="matter.screened",
        target=matter,
        screen=str(made.id),
        person=person.label,
    )
    return made


@transaction.atomic
def lift_screen(*, member: Membership, screen: Screen) -> None:
    """From their next request on, the person sees the matter again. The screen stays as evidence.

    Raises NotAllowed for one's own screen, Conflict when it is lifted already.
    """
    require(member, Action.MANAGE)
    if screen.member_id == member.id:
        raise NotAllowed("Nobody lifts their own screen; another firm admin has to decide that.")
    standing = Screen.objects.of(member.tenant_id).filter(id=screen.id, lifted_at=None)
    if not standing.update(lifted_at=timezone.now(), lifted_by=member):
        raise Conflict("This screen has been lifted already.")
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="matter.screen_lifted",
        target=screen.matter,
        screen=str(screen.id),
        person=screen.member.label,
    )


def _check(
    member: Membership, name: str, client: str, number: str, *, but: uuid.UUID | None = None
) -> dict[str, str]:
    """What is kept of a matter's names. Raises Invalid with every problem, Conflict for a taken number."""
    said = {"name": name.strip(), "client": client.strip(), "number": number.strip()}
    limits = {"name": MAX_NAME, "client": MAX_NAME, "number": MAX_NUMBER}
    problems = {
        field: f"Keep it under {limit} characters."
        for field, limit in limits.items()
        if len(said[field]) > limit
    }
    if not said["name"]:
        problems["name"] = "Name the matter."
    if problems:
        raise Invalid(" ".join(problems.values()), fields=problems)
    _one_at_a_time(member)
    if said["number"]:
        # A client-matter number is the firm's: whoever is screened off its matter cannot use it twice either.
        with firm_scope(member.tenant_id):
            same = Matter.objects.of(member.tenant_id).filter(number=said["number"]).exclude(id=but)
            taken = same.exists()
        if taken:
            raise Conflict(
                "Your firm uses this number for another matter.",
                fields={"number": "Another matter has this number."},
            )
    return said


def _one_at_a_time(member: Membership) -> None:
    """Two people who do the same at once must not both be let through to a constraint of the database."""
    Tenant.objects.select_for_update(no_key=True).get(id=member.tenant_id)
