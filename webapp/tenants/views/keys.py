from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from webapp.core.errors import AppError
from webapp.core.pages import show
from webapp.tenants import selectors, services
from webapp.tenants.forms import KeyForm
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action, allows

PROMPT = "Put this into our house style: Grutter v Bollinger, 539 US 306 (2003)."


@gate(Action.OWN_KEYS)
def keys(request: MemberRequest) -> HttpResponse:
    """This person's keys, or everybody's for a firm admin. A new secret is in this one answer only."""
    member = request.member
    form, made = KeyForm(request.POST or None), None
    if request.method == "POST" and form.is_valid():
        try:
            key, secret = services.create_api_key(member=member, name=form.cleaned_data["name"])
            made = {"key": key, "secret": secret}
            form = KeyForm()
        except AppError as error:
            show(error, form)
    everyone = allows(member, Action.MANAGE)
    context = {
        "form": form,
        "made": made,
        "everyone": everyone,
        "keys": selectors.api_keys(member, everyone=everyone),
        "base_url": f"{settings.PUBLIC_URL}/v1",
        "prompt": PROMPT,
    }
    response = render(request, "tenants/keys.html", context)
    response["Cache-Control"] = "no-store"
    return response


@require_POST
@gate(Action.OWN_KEYS)
def revoke(request: MemberRequest, key_id: uuid.UUID) -> HttpResponse:
    everyone = allows(request.member, Action.MANAGE)
    key = selectors.api_key(request.member, key_id, everyone=everyone)
    services.revoke_api_key(member=request.member, key=key)
    messages.success(request, f"The key “{key.name}” no longer opens anything.")
    return redirect("keys")
