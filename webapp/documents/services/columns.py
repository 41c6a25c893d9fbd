from __future__ import annotations

from django.db import transaction

from webapp.audit import services as audit
from webapp.core.errors import Conflict, Invalid
from webapp.core.jobs import services as jobs
from webapp.core.jobs.models import JobKind
from webapp.documents import selectors
from webapp.documents.models import Document
from webapp.documents.services.record import record_pairs_layout
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def choose_columns(*, member: Membership, document: Document, prompt: str, completion: str) -> int:
    """Say which of a table's columns is asked and which the house answers; returns how many pairs it holds.

    Raises Conflict for a document that is no table, Invalid with every problem.
    """
    require(member, Action.UPLOAD)
    table = selectors.table(document)
    if table is None:
        raise Conflict(f"“{document.name}” is not a table, so it has no columns to choose.")
    problems = {
        field: "Choose one of the table's columns."
        for field, column in (("prompt", prompt), ("completion", completion))
        if column not in table.columns
    }
    if not problems and prompt == completion:
        problems["completion"] = "Choose another column than the one that is asked."
    if problems:
        raise Invalid(" ".join(problems.values()), fields=problems)
    pairs = table.pairs(prompt=prompt, completion=completion)
    if not pairs:
        raise Invalid("No row has words in both of these columns; choose others.")
    document.columns = {"prompt": prompt, "completion": completion}
    document.save(update_fields=["columns"])
    record_pairs_layout(document=document, pairs=pairs)
    document.findings.all().delete()  # places in other words: no decision on those holds for these
    jobs.enqueue(JobKind.SCAN, tenant_id=member.tenant_id, object_id=document.id)
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="document.columns_chosen",
        target=document,
        pairs=len(pairs),
    )
    return len(pairs)
