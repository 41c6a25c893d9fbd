"""The way into every page: who are you, whose firm, may you do this; then one transaction that sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect

from webapp.core.tenancy import tenant_scope
from webapp.tenants import selectors
from webapp.tenants.models import Membership, User
from webapp.tenants.permissions import Action, require

P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request behind the gate: `member` is who asks, with their firm."""

    user: User  # the gate lets no anonymous user through
    member: Membership


Page = Callable[Concatenate[MemberRequest, P], HttpResponseBase]


def gate(action: Action) -> Callable[[Page[P]], Callable[Concatenate[HttpRequest, P], HttpResponseBase]]:
    """Open a page to members whose role covers `action`; the view runs in their firm's transaction."""

    def decorate(view: Page[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
        @wraps(view)
        def gated(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            user = request.user
            if not isinstance(user, User):
                return _to_sign_in(request)
            membership = selectors.membership_of(user)
            if membership is None:
                return redirect("no-firm")
            with tenant_scope(membership.tenant_id, viewer=membership.id):
                request.member = selectors.member(membership.tenant_id, membership.id)  # type: ignore[attr-defined]
                require(request.member, action)  # type: ignore[attr-defined]
                return view(request, *args, **kwargs)  # type: ignore[arg-type]

        gated.action = action  # type: ignore[attr-defined]  # read by the test that visits every URL
        return cast("Callable[Concatenate[HttpRequest, P], HttpResponseBase]", gated)

    return decorate


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    if request.headers.get("HX-Request"):  # a fragment must not be replaced by the sign-in page
        response = HttpResponse(status=401)
        response["HX-Redirect"] = "/sign-in/"
        return response
    return redirect_to_login(request.get_full_path())


def signed_in_member(request: HttpRequest) -> Membership | None:
    """The member behind a request, or None; for views that are asynchronous and open their own scopes."""
    if not isinstance(request.user, User):
        return None
    return selectors.membership_of(request.user)
