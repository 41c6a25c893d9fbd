from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from webapp.core.errors import NotFound
from webapp.documents.forms import MatterForm
from webapp.documents.receiving import receive
from webapp.documents.views.documents import LAST_MATTER
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import Matter, Membership
from webapp.tenants.permissions import Action


@require_POST
@gate(Action.UPLOAD)
def upload(request: MemberRequest) -> HttpResponse:
    """Files sent by a plain form, or by a program; a bad one costs itself alone.

    Who asks for JSON gets `{"results": [...]}`, see `receive`; a plain form the list with its messages.
    """
    matter = _matter(request)
    results = [_receive(request.member, file, matter) for file in request.FILES.getlist("file")]
    if _wants_json(request):
        return JsonResponse({"results": results}, status=201 if results else 400)
    if not results:
        messages.error(request, "Choose at least one file first.")
    for result in results:
        if result["reason"]:
            level = messages.INFO if result["state"] == "duplicate" else messages.ERROR
            messages.add_message(request, level, result["reason"])
    return redirect("documents")


def _matter(request: MemberRequest) -> Matter | None:
    """The matter that was named, remembered for the next time; None where none was."""
    if not request.POST.get("matter"):
        return None
    form = MatterForm(request.POST, tenant_id=request.member.tenant_id)
    if not form.is_valid():
        raise NotFound
    matter: Matter = form.cleaned_data["matter"]
    request.session[LAST_MATTER] = str(matter.id)
    return matter


def _receive(member: Membership, file: UploadedFile[bytes], matter: Matter | None) -> dict[str, str]:
    # One byte more than allowed is enough for the service to refuse a file that is far larger.
    return receive(member, file.name or "", file.read(settings.MAX_UPLOAD_BYTES + 1), matter)


def _wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")
