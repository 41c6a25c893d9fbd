"""How pages say what was found: kinds in words and icons, and a document's tally."""

from __future__ import annotations

from django import template

from webapp.documents.models import Document
from webapp.findings import selectors
from webapp.findings.models import FindingKind

register = template.Library()

ICONS: dict[str, str] = {
    FindingKind.SSN: "person-circle",
    FindingKind.PHONE: "person-circle",
    FindingKind.EMAIL: "person-circle",
    FindingKind.CARD: "key",
    FindingKind.BANK: "key",
    FindingKind.BIRTH_DATE: "person-circle",
    FindingKind.ADDRESS: "house",
    FindingKind.PRIVILEGE: "shield-lock",
    FindingKind.BLACK_BOX: "eye",
    FindingKind.DELETED: "dash-circle",
    FindingKind.INSERTED: "plus-lg",
    FindingKind.COMMENT: "chat-left-text",
    FindingKind.HIDDEN: "eye",
}


@register.filter
def kind_icon(kind: str) -> str:
    return ICONS[kind]


@register.filter
def kind_label(kind: str) -> str:
    return str(FindingKind(kind).label)


@register.simple_tag
def tally(document: Document) -> dict[str, int]:
    """How many of a document's findings are `open` and `settled`."""
    return selectors.counts([document.id])[document.id]
