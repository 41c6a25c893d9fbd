from __future__ import annotations

from functools import partial

from django.db import transaction
from django.db.models.deletion import ProtectedError

from webapp.audit import services as audit
from webapp.core import storage
from webapp.core.errors import Conflict
from webapp.core.jobs.models import Job
from webapp.core.tenancy import firm_scope
from webapp.documents import selectors
from webapp.documents.locks import one_writer
from webapp.documents.models import Document
from webapp.documents.services.likeness import regroup
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def delete(*, member: Membership, document: Document) -> None:
    """Remove a document, its files, and what came in it: an archive's files, an e-mail's attachments.

    Raises Conflict while any of them is being read, or a dataset was made from one.
    """
    require(member, Action.UPLOAD)
    one_writer(member.tenant_id)
    whole = [*selectors.inside(document), document]  # what is inside first: it refers to what it came in
    for found in whole:
        if not found.job.has_ended:
            raise Conflict(f"“{found.name}” is still being read; wait for it to finish, then delete it.")
    with firm_scope(member.tenant_id):
        # What the member is screened off was moved to another matter: it stays, and is its own from now on.
        strangers = Document.objects.of(member.tenant_id).filter(parent__in=whole)
        strangers.exclude(id__in=[found.id for found in whole]).update(parent=None)
    for found in whole:
        _delete_one(member, found)
    for group in {found.near_duplicates for found in whole if found.near_duplicates}:
        regroup(member.tenant_id, group)


def _delete_one(member: Membership, document: Document) -> None:
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="document.deleted",
        target=document,
        sha256=document.sha256,
    )
    names = [document.stored_name, document.text_name, document.layout_name, document.data_name]
    names += document.page_images.values_list("stored_name", flat=True)
    job_id = document.job_id
    try:
        with firm_scope(member.tenant_id):  # a dataset that the member is screened off needs it as much
            document.delete()
    except ProtectedError:
        raise Conflict(
            f"“{document.name}” is part of a dataset, which must stay as it is; it cannot be deleted."
        ) from None
    Job.objects.filter(id=job_id).delete()
    for name in filter(None, names):
        transaction.on_commit(partial(storage.delete, name))
