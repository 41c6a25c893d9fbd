"""Resumable uploads over HTTP: tus 1.0 (https://tus.io/protocols/resumable-upload), creation and termination.

What became of a whole file is in the header `Housestyle-Result` of the answer that completes it, and of every
later HEAD: JSON `{"name", "state", "reason"}`.
"""

from __future__ import annotations

import base64
import binascii
import json
import uuid

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from webapp.core.errors import AppError, Invalid
from webapp.documents import uploads
from webapp.documents.models import Upload
from webapp.documents.receiving import receive
from webapp.documents.views.documents import LAST_MATTER
from webapp.tenants import selectors as tenants
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.models import Matter
from webapp.tenants.permissions import Action

VERSION = "1.0.0"
PART = "application/offset+octet-stream"


@require_http_methods(["POST", "OPTIONS"])
@gate(Action.UPLOAD)
def create(request: MemberRequest) -> HttpResponse:
    """Begin an upload. A file of no bytes is whole at once."""
    if request.method == "OPTIONS":
        return _answer(204, **{"Tus-Extension": "creation,termination"})
    if (refusal := _other_version(request)) is not None:
        return refusal
    try:
        about = _metadata(request.headers.get("Upload-Metadata", ""))
        upload = uploads.start(
            member=request.member,
            name=about.get("filename", ""),
            size=_number(request, "Upload-Length"),
            matter=_matter(request, about.get("matter", "")),
        )
    except AppError as error:
        return _refusal(error)
    answer = _told(upload, 201) if upload.size else _complete(request, upload, 201)
    answer["Location"] = reverse("document-upload-part", args=[upload.id])
    return answer


@require_http_methods(["HEAD", "PATCH", "DELETE"])
@gate(Action.UPLOAD)
def part(request: MemberRequest, upload_id: uuid.UUID) -> HttpResponse:
    """Ask how much is here (HEAD), send the next part (PATCH), or give the upload up (DELETE)."""
    found = uploads.upload_of(request.member, upload_id)
    if (refusal := _other_version(request)) is not None:
        return refusal
    if request.method == "HEAD":
        return _told(found, 200)
    if request.method == "DELETE":
        uploads.discard(found)
        return _answer(204)
    if request.content_type != PART:
        return _answer(415, f"Send parts as {PART}.")
    try:
        upload = uploads.append(
            member=request.member,
            upload_id=upload_id,
            offset=_number(request, "Upload-Offset"),
            data=request.body,
        )
    except AppError as error:
        return _refusal(error)
    whole = upload.received == upload.size and upload.result is None
    return _complete(request, upload, 204) if whole else _told(upload, 204)


def _complete(request: MemberRequest, upload: Upload, status: int) -> HttpResponse:
    data = uploads.take(upload)
    uploads.record_result(upload, receive(request.member, upload.name, data, upload.matter))
    return _told(upload, status)


def _told(upload: Upload, status: int) -> HttpResponse:
    answer = _answer(status, **{"Upload-Offset": str(upload.received), "Upload-Length": str(upload.size)})
    if upload.result is not None:
        answer["Housestyle-Result"] = json.dumps(upload.result, sort_keys=True)  # ASCII, as headers are
    return answer


def _answer(status: int, body: str = "", **headers: str) -> HttpResponse:
    common = {
        "Tus-Resumable": VERSION,
        "Tus-Version": VERSION,
        "Tus-Max-Size": str(settings.MAX_UPLOAD_BYTES),
        "Cache-Control": "no-store",
    }
    return HttpResponse(body, status=status, headers={**common, **headers}, content_type="text/plain")


def _refusal(error: AppError) -> HttpResponse:
    return _answer(error.status, error.message)


def _other_version(request: HttpRequest) -> HttpResponse | None:
    if request.headers.get("Tus-Resumable") == VERSION:
        return None
    return _answer(412, f"This server speaks tus {VERSION}.")


def _number(request: HttpRequest, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Invalid(f"Send {header} as a number of bytes.")
    return int(text)


def _metadata(header: str) -> dict[str, str]:
    """`Upload-Metadata`: comma-separated names, each with its value in Base64."""
    found = {}
    for entry in filter(None, (part.strip() for part in header.split(","))):
        name, _, value = entry.partition(" ")
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise Invalid("The upload's metadata cannot be read; send the file again.") from None
    return found


def _matter(request: MemberRequest, text: str) -> Matter:
    """The matter that was named, remembered for the next time, or the general one.

    Raises NotFound for a matter that the member cannot see.
    """
    tenant_id = request.member.tenant_id
    if not text:
        return tenants.general_matter(tenant_id)
    try:
        matter = tenants.matter(tenant_id, uuid.UUID(text))
    except ValueError:
        raise Invalid("Choose one of the matters.") from None
    request.session[LAST_MATTER] = str(matter.id)
    return matter
