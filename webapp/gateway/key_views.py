"""Pages of API keys. They stand here and not in `tenants`, which knows no adapters that a key could name."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import AppError
from webapp.core.pages import page_of, show
from webapp.gateway import selectors, services
from webapp.gateway.forms import AccessForm, KeyForm, RotateForm
from webapp.gateway.models import KeyAccess
from webapp.tenants import selectors as tenants
from webapp.tenants import services as tenant_services
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import ApiKey, Scope
from webapp.tenants.permissions import Action, allows

PROMPT = "Put this into our house style: Grutter v Bollinger, 539 US 306 (2003)."
WARN_BEFORE = timedelta(days=7)


@dataclass(frozen=True)
class Row:
    """A key as the pages show it."""

    key: ApiKey
    access: KeyAccess | None
    now: datetime

    @property
    def opens(self) -> bool:
        return self.key.opens_at(self.now)

    @property
    def ends_soon(self) -> bool:
        return (
            self.opens and self.key.expires_at is not None and self.key.expires_at - self.now <= WARN_BEFORE
        )

    @property
    def successor(self) -> ApiKey | None:
        """The key that replaced this one."""
        return getattr(self.key, "replaced_by", None)

    @property
    def scopes(self) -> list[str]:
        return [scope.label for scope in Scope if scope.value in self.key.scopes]

    @property
    def default(self) -> str:
        """Which adapter answers when none is named, as far as the viewer may know of it."""
        if self.access is None:
            return "None"
        if not (self.access.default_adapter_id or self.access.default_version_id):
            return "The live adapter"
        chosen = self.access.default_adapter or self.access.default_version
        return str(chosen) if chosen else "An adapter that is not on offer to you"

    @property
    def others(self) -> str:
        """What else may be named."""
        if self.access is None:
            return "nothing"
        listed = [str(row.adapter) for row in self.access.named.all()]
        said = ["every approved adapter"] if self.access.everything else listed
        return ", ".join([*said, *(["the base model"] if self.access.may_use_base else [])]) or "no other"


@require_safe
@gate(Action.OWN_KEYS)
def keys(request: MemberRequest) -> HttpResponse:
    """This person's keys, or everybody's for a firm admin."""
    everyone = allows(request.member, Action.MANAGE)
    page = page_of(request, tenants.api_keys(request.member, everyone=everyone))
    context = {"page": page, "rows": _rows(request, page), "everyone": everyone}
    return render(request, "gateway/keys.html", context)


@gate(Action.OWN_KEYS)
def new(request: MemberRequest) -> HttpResponse:
    """A new key. Its secret is in this one answer only."""
    form = KeyForm(request.POST or None, tenant_id=request.member.tenant_id)
    if request.method == "POST" and form.is_valid():
        try:
            made, secret = services.make_key(
                member=request.member,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"],
                expires_at=form.expires_at,
                wanted=form.wanted(),
            )
        except AppError as error:
            show(error, form)
        else:
            return _made(request, made, secret)
    return render(request, "gateway/new_key.html", {"form": form})


@require_safe
@gate(Action.OWN_KEYS)
def key(request: MemberRequest, key_id: uuid.UUID) -> HttpResponse:
    return _page(request, _key(request, key_id))


@require_POST
@gate(Action.OWN_KEYS)
def access(request: MemberRequest, key_id: uuid.UUID) -> HttpResponse:
    """Change what a key may name."""
    found = _key(request, key_id)
    form = AccessForm(request.POST, tenant_id=found.tenant_id, access=selectors.access(found))
    if form.is_valid():
        try:
            services.change_access(
                member=request.member, key=found, wanted=form.wanted(), keep_default=form.keeps_default
            )
        except AppError as error:
            show(error, form)
        else:
            messages.success(request, f"“{found.name}” may name what you chose from its next request on.")
            return redirect("key", key_id)
    return _page(request, found, form=form)


@require_POST
@gate(Action.OWN_KEYS)
def rotate(request: MemberRequest, key_id: uuid.UUID) -> HttpResponse:
    """A key in this one's place. Its secret is in this one answer only."""
    found = _key(request, key_id)
    form = RotateForm(request.POST)
    if not form.is_valid():
        return _page(request, found, rotation=form)
    try:
        made, secret = services.rotate_key(member=request.member, key=found, overlap=form.wanted)
    except AppError as error:
        messages.error(request, error.message)
        return redirect("key", key_id)
    return _made(request, made, secret)


@require_POST
@gate(Action.OWN_KEYS)
def revoke(request: MemberRequest, key_id: uuid.UUID) -> HttpResponse:
    found = _key(request, key_id)
    tenant_services.revoke_api_key(member=request.member, key=found)
    messages.success(request, f"The key “{found.name}” no longer opens anything.")
    return redirect("keys")


def _key(request: MemberRequest, key_id: uuid.UUID) -> ApiKey:
    everyone = allows(request.member, Action.MANAGE)
    return tenants.api_key(request.member, key_id, everyone=everyone)


def _page(
    request: MemberRequest,
    found: ApiKey,
    *,
    form: AccessForm | None = None,
    rotation: RotateForm | None = None,
) -> HttpResponse:
    context = {
        "row": _rows(request, [found])[0],
        "is_own": found.member_id == request.member.id,
        "form": form or AccessForm(tenant_id=found.tenant_id, access=selectors.access(found)),
        "rotation": rotation or RotateForm(),
    }
    return render(request, "gateway/key.html", context)


def _made(request: MemberRequest, made: ApiKey, secret: str) -> HttpResponse:
    context = {
        "key": made,
        "secret": secret,
        "base_url": f"{settings.PUBLIC_URL}/v1",
        "api_url": f"{settings.PUBLIC_URL}/api/v1",
        "prompt": PROMPT,
        "completes": Scope.COMPLETIONS in made.scopes,
    }
    response = render(request, "gateway/key_made.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _rows(request: MemberRequest, found: Iterable[ApiKey]) -> list[Row]:
    listed, now = list(found), timezone.now()
    accesses = selectors.accesses(request.member.tenant_id, listed)
    return [Row(key, accesses.get(key.id), now) for key in listed]
