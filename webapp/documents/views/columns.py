from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from webapp.core.errors import AppError, NotFound
from webapp.core.pages import show
from webapp.documents import selectors, services
from webapp.documents.forms import ColumnsForm
from webapp.tenants.gates import MemberRequest, gate
from webapp.tenants.permissions import Action

FIRST_ROWS = 5


@gate(Action.UPLOAD)
def columns(request: MemberRequest, document_id: uuid.UUID) -> HttpResponse:
    """The first rows of a table, and which of its columns are a pair's."""
    found = selectors.document(request.member.tenant_id, document_id)
    table = selectors.table(found)
    if table is None:
        raise NotFound("This document is not a table, so it has no columns to choose.")
    form = ColumnsForm(request.POST or None, columns=table.columns, chosen=found.columns)
    if request.method == "POST" and form.is_valid():
        try:
            pairs = services.choose_columns(member=request.member, document=found, **form.cleaned_data)
        except AppError as error:
            show(error, form)
        else:
            noun = "pair is" if pairs == 1 else "pairs are"
            messages.success(request, f"{pairs:,} {noun} ready to learn from.")
            return redirect("document", found.id)
    context = {"document": found, "form": form, "table": table, "rows": table.rows[:FIRST_ROWS]}
    return render(request, "documents/columns.html", context)
