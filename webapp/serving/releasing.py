"""What an approver does with a version's page: put live, roll back, take off, try, end the trial, retire."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from webapp.adapters import selectors as adapter_versions
from webapp.adapters.models import AdapterVersion
from webapp.core.errors import AppError
from webapp.serving import rollouts, services
from webapp.serving.models import Outcome, Rollout
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action


@require_POST
@gate(Action.RELEASE)
def put_live(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    def act(version: AdapterVersion) -> str:
        services.put_live(member=request.member, version=version)
        return f"{version} is live."

    return _on_version(request, version_id, act)


@require_POST
@gate(Action.RELEASE)
def roll_back(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    """Roll back to this version: the one that the page named."""

    def act(version: AdapterVersion) -> str:
        services.roll_back(member=request.member, to=version)
        return f"{version} is live again."

    return _on_version(request, version_id, act)


@require_POST
@gate(Action.RELEASE)
def share(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    """`share` in percent; `shadow` set: of copies."""

    def act(version: AdapterVersion) -> str:
        asked = request.POST.get("share", "")
        percent = int(asked) if asked.isascii() and asked.isdigit() else -1
        shadow = request.POST.get("shadow") == "on"
        return _says(
            rollouts.send_share(member=request.member, version=version, share=percent, shadow=shadow)
        )

    return _on_version(request, version_id, act)


@require_POST
@gate(Action.RELEASE)
def withdraw(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    def act(version: AdapterVersion) -> str:
        rollouts.withdraw(member=request.member, version=version)
        return f"{version} is no longer on trial; the live version answers every request."

    return _on_version(request, version_id, act)


@require_POST
@gate(Action.RELEASE)
def retire(request: MemberRequest, version_id: uuid.UUID) -> HttpResponse:
    def act(version: AdapterVersion) -> str:
        services.retire(member=request.member, version=version)
        return f"{version} is retired; it never answers again."

    return _on_version(request, version_id, act)


@require_POST
@gate(Action.RELEASE)
def take_off(request: MemberRequest) -> HttpResponse:
    def act() -> str:
        services.take_off(member=request.member)
        return "Nothing is live now; your firm's programs are told so until something is."

    _say(request, act)
    return redirect("adapters")


def _says(trial: Rollout) -> str:
    if trial.outcome == Outcome.PROMOTED:
        return f"{trial.version} is live."
    if trial.shadow:
        return f"{trial.version} answers a copy of {trial.share}% of the requests, for nobody to read."
    return f"{trial.version} answers {trial.share}% of the requests."


def _on_version(
    request: MemberRequest, version_id: uuid.UUID, act: Callable[[AdapterVersion], str]
) -> HttpResponse:
    version = adapter_versions.version(request.member.tenant_id, version_id)
    _say(request, lambda: act(version))
    return redirect("version", version_id)


def _say(request: MemberRequest, act: Callable[[], str]) -> None:
    try:
        said = act()
    except AppError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, said)
