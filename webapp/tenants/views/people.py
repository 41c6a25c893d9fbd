from __future__ import annotations

import secrets

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render

from webapp.core.errors import AppError
from webapp.core.pages import show
from webapp.tenants import selectors, services
from webapp.tenants.forms import PersonForm
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import ALLOWED, Action

PASSWORD_BYTES = 12


@gate(Action.MANAGE)
def people(request: MemberRequest) -> HttpResponse:
    """Who is in the firm, and a way to add somebody. The temporary password is in this one answer only."""
    tenant_id = request.member.tenant_id
    form, added = PersonForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        said = form.cleaned_data
        try:
            person = services.add_member(
                tenant_id=tenant_id,
                by=request.member,
                email=said["email"].strip(),
                name=said["name"].strip(),
                role=said["role"],
                password=password,
            )
            added = {"person": person, "password": password}
            form = PersonForm()
        except AppError as error:
            show(error, form)
    roles = [(role.label, sorted(action.value for action in actions)) for role, actions in ALLOWED.items()]
    context = {
        "form": form,
        "added": added,
        "people": selectors.members(tenant_id),
        "roles": roles,
        "url": settings.PUBLIC_URL,
    }
    response = render(request, "tenants/people.html", context)
    response["Cache-Control"] = "no-store"
    return response
