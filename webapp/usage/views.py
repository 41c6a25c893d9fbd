"""Pages of usage: what was asked, how much of it may be, and, where the firm wants it kept, the words."""

from __future__ import annotations

import csv
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from webapp.audit import services as audit
from webapp.core.errors import AppError, NotFound
from webapp.core.pages import page_of, show
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import ApiKey
from webapp.tenants.permissions import Action, require
from webapp.usage import limits, reports, selectors, services, texts
from webapp.usage.allowances import allowance_of, default_allowance
from webapp.usage.forms import LimitsForm, TextLogForm
from webapp.usage.models import Limit
from webapp.usage.reports import Line, Period

COLUMNS = ("requests", "errors", "tokens_in", "tokens_out", "tokens_unknown", "ttft_ms")


@require_safe
@gate(Action.VIEW)
def usage(request: MemberRequest) -> HttpResponse:
    tenant_id = request.member.tenant_id
    by = _period(request)
    lines = reports.by_period(tenant_id, by)
    since = lines[0].begins
    assert since is not None
    context = {
        "by": by.value,
        "periods": [period.value for period in Period],
        "total": reports.total(lines),
        "lines": [line for line in reversed(lines) if line.requests],
        "chart": _chart(lines),
        "keys": reports.by_key(tenant_id, since),
        "versions": reports.by_version(tenant_id, since),
        "budget": _budget(tenant_id),
        "redis_is_away": not limits.are_checked(),
    }
    return render(request, "usage/usage.html", context)


@require_safe
@gate(Action.VIEW)
def export(request: MemberRequest) -> HttpResponse:
    """The page's figures as CSV, every period of them."""
    by = _period(request)
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="usage-by-{by.value}.csv"'
    writer = csv.writer(response)
    writer.writerow([by.value, *COLUMNS])
    for line in reports.by_period(request.member.tenant_id, by):
        assert line.begins is not None
        writer.writerow([line.begins.isoformat(), *(getattr(line, name) for name in COLUMNS)])
    return response


@require_safe
@gate(Action.AUDIT)
def requests(request: MemberRequest) -> HttpResponse:
    """Every request by itself, the latest first."""
    context = {"page": page_of(request, selectors.requests(request.member.tenant_id))}
    return render(request, "usage/requests.html", context)


@require_safe
@gate(Action.AUDIT)
def text(request: MemberRequest, row_id: uuid.UUID) -> HttpResponse:
    """What was asked and answered, where the firm keeps it. Reading it is written down."""
    row = selectors.request(request.member.tenant_id, row_id)
    kept = texts.text_of(row)
    if kept is None:
        raise NotFound
    audit.record(
        tenant_id=row.tenant_id,
        actor=request.member,
        action="usage.text_read",
        target=row,
        member=row.member.label,
    )
    response = render(request, "usage/text.html", {"row": row, **kept})
    response["Cache-Control"] = "no-store"
    return response


@gate(Action.MANAGE)
def firm_limits(request: MemberRequest) -> HttpResponse:
    """The firm's own limits, those of its keys, and whether texts are kept."""
    tenant_id = request.member.tenant_id
    found = selectors.limits(tenant_id)
    form = LimitsForm(request.POST or None, initial=LimitsForm.initial_of(found.get(None) or _default()))
    if request.method == "POST" and form.is_valid() and _set(request, form, None):
        messages.success(request, "Your firm's limits hold from the next request on.")
        return redirect("usage-limits")
    log = selectors.text_log(tenant_id)
    keys = [(key, found.get(selectors.first_of_line(key))) for key in selectors.keys(tenant_id)]
    context = {
        "form": form,
        "keys": keys,
        "budget": _budget(tenant_id),
        "log": log,
        "log_form": TextLogForm(initial={"on": log.on, "days": log.days}),
    }
    return render(request, "usage/limits.html", context)


@gate(Action.VIEW)
def key_limits(request: MemberRequest, key_id: uuid.UUID) -> HttpResponse:
    tenant_id = request.member.tenant_id
    key = selectors.key(tenant_id, key_id)  # to another firm it does not exist, whatever their role
    require(request.member, Action.MANAGE)
    first = selectors.first_of_line(key)
    limit = selectors.limits(tenant_id).get(first)
    form = LimitsForm(request.POST or None, initial=LimitsForm.initial_of(limit))
    if request.method == "POST" and form.is_valid() and _set(request, form, key):
        messages.success(request, f"The limits of “{key.name}” hold from the next request on.")
        return redirect("usage-limits")
    context = {"form": form, "key": key, "budget": _budget(tenant_id, key_id=first, limit=limit)}
    return render(request, "usage/key_limits.html", context)


@require_POST
@gate(Action.MANAGE)
def text_log(request: MemberRequest) -> HttpResponse:
    form = TextLogForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Say for how many days texts are kept: 1 to 365.")
        return redirect("usage-limits")
    try:
        services.set_text_log(member=request.member, **form.cleaned_data)
    except AppError as error:
        messages.error(request, error.message)
    else:
        kept = form.cleaned_data["on"]
        messages.success(
            request,
            "From now on what is asked and answered is kept." if kept else "From now on no text is kept.",
        )
    return redirect("usage-limits")


def _set(request: MemberRequest, form: LimitsForm, key: ApiKey | None) -> bool:
    try:
        services.set_limits(member=request.member, key=key, numbers=form.cleaned_data)
    except AppError as error:
        show(error, form)
        return False
    return True


def _default() -> Limit:
    """What holds for a firm that set nothing, for its form to begin with."""
    given = default_allowance()
    return Limit(
        requests_per_minute=given.requests,
        tokens_per_minute=given.tokens,
        concurrent=given.concurrent,
        monthly_tokens=given.monthly,
    )


def _budget(
    tenant_id: uuid.UUID, *, key_id: uuid.UUID | None = None, limit: Limit | None = None
) -> dict[str, int] | None:
    """How much of the month's tokens is used; None where there is no budget."""
    if key_id is None:
        limit = selectors.limits(tenant_id).get(None)
    allowance = allowance_of(limit) if limit else (default_allowance() if key_id is None else None)
    if allowance is None or allowance.monthly is None:
        return None
    return {"used": selectors.used_this_month(tenant_id, key_id=key_id), "limit": allowance.monthly}


def _period(request: HttpRequest) -> Period:
    asked = request.GET.get("by", "")
    return Period(asked) if asked in set(Period) else Period.DAY


def _chart(lines: list[Line]) -> dict[str, Any]:
    """Columns for the chart: begins (Unix seconds), tokens in and out, requests."""
    return {
        "begins": [int(line.begins.timestamp()) for line in lines if line.begins],
        "tokens_in": [line.tokens_in for line in lines],
        "tokens_out": [line.tokens_out for line in lines],
        "requests": [line.requests for line in lines],
    }
