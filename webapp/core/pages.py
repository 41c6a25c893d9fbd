"""What pages of every feature share: errors on forms, pages of long lists."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest

from webapp.core.errors import AppError


def show(error: AppError, form: Form) -> None:
    """Put every problem that a service found on the field it belongs to, or above the form."""
    above = [sentence for field, sentence in error.fields.items() if field not in form.fields]
    for field, sentence in error.fields.items():
        if field in form.fields:
            form.add_error(field, sentence)
    if above or not error.fields:
        form.add_error(None, " ".join(above) or error.message)


def page_of(request: HttpRequest, rows: QuerySet[Any], *, size: int = 50) -> Page[Any]:
    """The page of a list that the query string asks for; the nearest one when there is no such page."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


def is_fragment(request: HttpRequest) -> bool:
    """Whether a script asks for a part of the page only."""
    return request.headers.get("HX-Request") == "true"
