"""Files that arrive in parts, so that a broken connection costs no more than the part it broke.

A part is sealed under the firm's key as soon as it is here. The last one makes the document, and what became
of it is kept for a day: a browser that never heard the answer asks again and learns it.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from webapp.core import storage
from webapp.core.errors import Conflict, Invalid, NotFound
from webapp.documents.models import Upload, UploadPart
from webapp.documents.services.upload import clean_name
from webapp.tenants.models import Matter, Membership
from webapp.tenants.permissions import Action, require

KEPT = timedelta(days=1)
MAX_OPEN = 500  # uploads of one member at a time


@transaction.atomic
def start(*, member: Membership, name: str, size: int, matter: Matter) -> Upload:
    """Expect a file of `size` bytes. Raises Invalid when it is larger than one may be."""
    require(member, Action.UPLOAD)
    if size > settings.MAX_UPLOAD_BYTES:
        limit = settings.MAX_UPLOAD_BYTES // 2**20
        raise Invalid(f"“{name}” is larger than {limit} MB; split it into smaller files.", code="too_large")
    _sweep(member.tenant_id)
    if Upload.objects.of(member.tenant_id).filter(member=member, result=None).count() >= MAX_OPEN:
        raise Conflict("Too many files are on their way at once; wait until some have arrived.")
    upload: Upload = Upload.objects.create(
        tenant_id=member.tenant_id, member=member, matter=matter, name=clean_name(name), size=size
    )
    return upload


def upload_of(member: Membership, upload_id: uuid.UUID, *, lock: bool = False) -> Upload:
    """The gate to an upload: it is its sender's alone. Raises NotFound for everybody else."""
    rows = Upload.objects.of(member.tenant_id).select_related("matter")
    if lock:
        rows = rows.select_for_update(of=("self",))
    found: Upload | None = rows.filter(member=member, id=upload_id).first()
    if found is None:
        raise NotFound
    return found


@transaction.atomic
def append(*, member: Membership, upload_id: uuid.UUID, offset: int, data: bytes) -> Upload:
    """Keep the next part. Raises Conflict when it does not begin where the last one ended, Invalid when it
    reaches over the promised end."""
    require(member, Action.UPLOAD)
    upload = upload_of(member, upload_id, lock=True)
    if offset != upload.received:
        raise Conflict(f"The next part begins at byte {upload.received}, not {offset}.")
    if offset + len(data) > upload.size:
        raise Invalid("More bytes came than were promised; send the file again.")
    if data:
        firm = member.tenant
        stored = storage.put(tenant_id=firm.id, wrapped_key=firm.wrapped_key, area="uploads", data=data)
        UploadPart.objects.create(
            tenant_id=firm.id, upload=upload, offset=offset, size=len(data), stored_name=stored.name
        )
        upload.received += len(data)
        upload.save(update_fields=["received", "touched_at"])
    return upload


@transaction.atomic
def take(upload: Upload) -> bytes:
    """The whole file; its parts are gone with the transaction."""
    firm = upload.member.tenant
    parts = list(UploadPart.objects.of(upload.tenant_id).filter(upload=upload))
    data = b"".join(
        storage.get(tenant_id=firm.id, wrapped_key=firm.wrapped_key, name=part.stored_name) for part in parts
    )
    _forget_parts(parts)
    return data


def record_result(upload: Upload, result: dict[str, str]) -> None:
    """What the sender is told of it: `{"name", "state", "reason"}`."""
    upload.result = result
    upload.save(update_fields=["result", "touched_at"])


@transaction.atomic
def discard(upload: Upload) -> None:
    """The sender gave it up."""
    _forget_parts(list(UploadPart.objects.of(upload.tenant_id).filter(upload=upload)))
    upload.delete()


def _sweep(tenant_id: uuid.UUID) -> None:
    """Remove what nobody continued within a day."""
    for stale in Upload.objects.of(tenant_id).filter(touched_at__lt=timezone.now() - KEPT):
        discard(stale)


def _forget_parts(parts: list[UploadPart]) -> None:
    for part in parts:
        part.delete()
        transaction.on_commit(partial(storage.delete, part.stored_name))
