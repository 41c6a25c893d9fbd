from __future__ import annotations

import uuid
from contextlib import suppress

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import page_of, show
from webapp.tenants import matters as services
from webapp.tenants import selectors
from webapp.tenants.forms import MatterForm, ScreenForm
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import Matter, Membership
from webapp.tenants.permissions import Action, allows


@gate(Action.VIEW)
def matters(request: MemberRequest) -> HttpResponse:
    """The matters that this person may see, and a way to open one."""
    form = MatterForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.create_matter(member=request.member, **form.cleaned_data)
        except AppError as error:
            show(error, form)
        else:
            messages.success(request, f"The matter “{made}” is open.")
            return redirect("matter", made.id)
    page = page_of(request, selectors.listed_matters(request.member.tenant_id))
    return render(request, "tenants/matters.html", {"form": form, "page": page})


@require_safe
@gate(Action.VIEW)
def matter(request: MemberRequest, matter_id: uuid.UUID) -> HttpResponse:
    """One matter: what it holds, who is screened off it, who was."""
    return _page(request, selectors.matter(request.member.tenant_id, matter_id))


@require_POST
@gate(Action.VIEW)
def rename(request: MemberRequest, matter_id: uuid.UUID) -> HttpResponse:
    found = selectors.matter(request.member.tenant_id, matter_id)
    form = MatterForm(request.POST)
    if form.is_valid():
        try:
            services.rename(member=request.member, matter=found, **form.cleaned_data)
        except AppError as error:
            show(error, form)
        else:
            messages.success(request, "The matter is renamed.")
            return redirect("matter", matter_id)
    return _page(request, selectors.matter(request.member.tenant_id, matter_id), names=form)


@require_POST
@gate(Action.VIEW)
def screen(request: MemberRequest, matter_id: uuid.UUID) -> HttpResponse:
    """Screen a person off a matter; who screens themselves does not see its page again."""
    member = request.member
    found = selectors.matter(member.tenant_id, matter_id)
    form = ScreenForm(request.POST, people=_choices(member, found))
    if form.is_valid():
        person = _chosen(member, form.cleaned_data["person"])
        if person is None:
            form.add_error("person", "Choose a person of your firm.")
        else:
            try:
                services.screen(
                    member=member, matter=found, person=person, reason=form.cleaned_data["reason"]
                )
            except AppError as error:
                show(error, form)
            else:
                if person.id == member.id:
                    messages.success(request, f"You are screened off “{found}” from now on.")
                    return redirect("matters")
                messages.success(request, f"{person.user} sees nothing of this matter from now on.")
                return redirect("matter", matter_id)
    return _page(request, found, screening=form)


@require_POST
@gate(Action.VIEW)
def lift_screen(request: MemberRequest, matter_id: uuid.UUID, screen_id: uuid.UUID) -> HttpResponse:
    found = selectors.screen(selectors.matter(request.member.tenant_id, matter_id), screen_id)
    try:
        services.lift_screen(member=request.member, screen=found)
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, f"{found.member.user} sees this matter again.")
    return redirect("matter", matter_id)


def _page(
    request: MemberRequest,
    matter: Matter,
    *,
    names: MatterForm | None = None,
    screening: ScreenForm | None = None,
) -> HttpResponse:
    member = request.member
    said = {"name": matter.name, "client": matter.client, "number": matter.number}
    context = {
        "matter": matter,
        "document_count": matter.documents.count(),
        "screens": selectors.screens(matter),
        "lifted": selectors.screens(matter, lifted=True),
        "names": names or MatterForm(initial=said, auto_id="matter_%s"),
        "screening": screening or ScreenForm(people=_choices(member, matter)),
        "wrong": names is not None,
    }
    return render(request, "tenants/matter.html", context)


def _choices(member: Membership, matter: Matter) -> list[Membership]:
    """Whom this person may screen off: anybody for an admin, else themselves."""
    people = selectors.not_screened(matter)
    return list(people if allows(member, Action.MANAGE) else people.filter(id=member.id))


def _chosen(member: Membership, said: str) -> Membership | None:
    with suppress(ValueError, AppError):
        return selectors.member(member.tenant_id, uuid.UUID(said))
    return None
