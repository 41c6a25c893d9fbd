"""The audit log's page. It stands here and not in `audit`, which lies below the members who may read it."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from webapp.audit import selectors
from webapp.audit.models import Event
from webapp.core.pages import page_of
from webapp.tenants import selectors as firm
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

WORDS = {
    "firm.created": "opened the firm",
    "member.added": "added a person",
    "key.created": "made an API key",
    "key.rotated": "replaced an API key",
    "key.access_changed": "changed what an API key may name",
    "key.revoked": "revoked an API key",
    "matter.created": "opened a matter",
    "matter.renamed": "renamed a matter",
    "matter.screened": "screened a person off a matter",
    "matter.screen_lifted": "lifted a person's screen",
    "document.uploaded": "added a document",
    "document.opened": "took the files out of an archive or e-mail",
    "document.columns_chosen": "chose a table's columns",
    "document.moved": "moved a document to another matter",
    "document.downloaded": "downloaded an original",
    "document.withdrawn": "withdrew a document",
    "document.restored": "took a withdrawal back",
    "document.deleted": "deleted a document",
    "findings.decided": "decided on findings",
    "findings.reopened": "opened findings again",
    "dataset.created": "made a dataset",
    "dataset.deleted": "deleted a dataset",
    "dataset.remade": "made a version of a dataset without withdrawn documents",
    "dataset.draft_begun": "began a draft of a dataset",
    "dataset.example_excluded": "excluded an example in a draft",
    "dataset.example_edited": "edited an example in a draft",
    "dataset.change_undone": "undid a change in a draft",
    "dataset.frozen": "froze a draft as a version",
    "dataset.draft_reopened": "took up a draft of a dataset again",
    "dataset.exported": "exported a dataset",
    "run.started": "started a training run",
    "run.cancelled": "asked to cancel a training run",
    "version.created": "kept a new adapter version",
    "version.approved": "approved a version",
    "version.rejected": "rejected a version",
    "version.put_live": "put a version live",
    "version.taken_off": "took a version off",
    "version.rolled_back": "rolled back to a version",
    "version.retired": "retired a version",
    "version.trial_begun": "sent a version a share of requests",
    "version.trial_changed": "changed a version's share of requests",
    "version.trial_withdrawn": "ended a version's share of requests",
    "usage.limits_set": "set limits of the completion API",
    "usage.texts_on": "turned on keeping what is asked and answered",
    "usage.texts_off": "turned off keeping what is asked and answered",
    "usage.text_read": "read what was asked and answered",
    "job.succeeded": "finished a job",
    "job.failed": "could not finish a job",
    "job.errored": "stopped a job at a fault",
    "job.cancelled": "cancelled a job",
}


@require_safe
@gate(Action.AUDIT)
def log(request: MemberRequest) -> HttpResponse:
    tenant_id = request.member.tenant_id
    page = page_of(request, selectors.events(tenant_id))
    subjects = {event: _subjects(event) for event in page}
    hidden = firm.hidden_from(request.member, set().union(*subjects.values()))
    rows = [(event, WORDS.get(event.action, event.action), bool(subjects[event] & hidden)) for event in page]
    context = {"page": page, "rows": rows, "broken": selectors.first_broken(tenant_id)}
    return render(request, "audit/log.html", context)


def _subjects(event: Event) -> set[str]:
    """The ids of what an event is about: what a job was for, and not the job, and what else it names."""
    return {str(event.data.get("object", event.object_id)), *event.data.get("about", [])}
