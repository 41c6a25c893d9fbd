from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from webapp.core.errors import NotFound
from webapp.core.pages import is_fragment, page_of
from webapp.documents import selectors, services
from webapp.documents.formats import ACCEPTED
from webapp.documents.forms import FilterForm, MatterForm
from webapp.tenants import selectors as tenants
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

PAGE_SIZE = 50
# Where the session keeps the matter that this person last added files to.
LAST_MATTER = "matter"


@require_safe
@gate(Action.VIEW)
def documents(request: MemberRequest) -> HttpResponse:
    """The firm's documents; for the page's script, the list alone."""
    tenant_id = request.member.tenant_id
    form = FilterForm(request.GET, tenant_id=tenant_id, kinds=selectors.kinds(tenant_id))
    wanted = form.wanted()
    page = page_of(request, selectors.listed(tenant_id, **wanted), size=PAGE_SIZE)
    page.object_list = selectors.count_around(tenant_id, page.object_list)
    matters = list(tenants.matters(tenant_id))
    counts = selectors.counts(tenant_id)
    context = {
        "page": page,
        "counts": counts,
        "says": _says(counts),
        "filtered": any(wanted.values()),
        "keep": _keep(request.GET),
        "matters": matters,
        "form": form,
    }
    if is_fragment(request):
        return render(request, "documents/_list.html", context)
    last = request.session.get(LAST_MATTER, "")
    known = last in {str(matter.id) for matter in matters}
    context |= {
        "chosen_matter": last if known else str(matters[0].id),
        "accepted": ACCEPTED,
        "max_bytes": settings.MAX_UPLOAD_BYTES,
        "max_megabytes": settings.MAX_UPLOAD_BYTES // 2**20,
    }
    return render(request, "documents/documents.html", context)


@require_POST
@gate(Action.UPLOAD)
def chosen(request: MemberRequest) -> HttpResponse:
    """What to do with the documents that are ticked in the list: move them, or make a dataset of them."""
    ticked = _ids(request.POST.getlist("document"))
    if request.POST.get("do") != "move":
        query = QueryDict(mutable=True)
        query.setlist("document", [str(document_id) for document_id in ticked])
        return redirect(f"{reverse('dataset-new')}?{query.urlencode()}" if ticked else "dataset-new")
    form = MatterForm(request.POST, tenant_id=request.member.tenant_id)
    if not form.is_valid():
        raise NotFound
    matter = form.cleaned_data["matter"]
    found = selectors.documents(request.member.tenant_id).filter(id__in=ticked)
    moved = services.move(member=request.member, documents=found, matter=matter)
    if not ticked:
        messages.error(request, "Choose at least one document first.")
    elif moved:
        noun = "document is" if moved == 1 else "documents are"
        messages.success(request, f"{moved} {noun} now in “{matter}”.")
    else:
        messages.success(request, f"They are in “{matter}” already.")
    return redirect("documents")


def _says(counts: dict[str, int]) -> str:
    """How far the documents have come: `8 ready, 2 being read`."""
    words = {"unsettled": "being read", "columns": "waiting for columns", "refused": "refused"}
    others = [f"{counts[state]:,} {word}" for state, word in words.items() if counts[state]]
    return ", ".join([f"{counts['ready']:,} ready", *others])


def _keep(query: QueryDict) -> str:
    """The filters as the start of a query string, for the links to other pages of the list."""
    kept = query.copy()
    kept.pop("page", None)
    for name in [name for name, value in kept.items() if not value]:
        del kept[name]
    text = kept.urlencode()
    return f"{text}&" if text else ""


def _ids(texts: list[str]) -> list[uuid.UUID]:
    """Those that are ids; whatever else was sent is nobody's."""
    found = []
    for text in texts:
        try:
            found.append(uuid.UUID(text))
        except ValueError:
            continue
    return found
