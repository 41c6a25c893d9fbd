"""What the reading of a document found, kept beside its original and sealed like it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from django.db import transaction

from webapp.core import storage
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.documents.pairs import Pair, Table, layout_of, pairs_to_json


@transaction.atomic
def record_text(
    *, document: Document, layout: Layout, pages: int, kind: str, ocr_confidence: float | None = None
) -> None:
    """Keep what was read from a document: its text, and how it is laid out. An archive has none."""
    text = layout.text
    if text:
        document.text_name = _keep(document, "text", text.encode())
        document.layout_name = _keep(document, "layout", layout.to_json())
        document.words = len(text.split())
    document.pages, document.kind, document.ocr_confidence = pages, kind, ocr_confidence
    document.save(
        update_fields=["text_name", "layout_name", "words", "pages", "kind", "ocr_confidence"],
    )


def record_table(*, document: Document, table: Table) -> None:
    """Keep a spreadsheet. It holds pairs once a person has said which columns are which."""
    document.data_name = _keep(document, "data", table.to_json())
    document.save(update_fields=["data_name"])


def record_pairs(*, document: Document, pairs: Sequence[Pair]) -> None:
    """Keep ready-made pairs as they came."""
    document.data_name = _keep(document, "data", pairs_to_json(pairs))
    record_pairs_layout(document=document, pairs=pairs)


def record_pairs_layout(*, document: Document, pairs: Sequence[Pair]) -> None:
    """Keep how many pairs there are, and what they say as a layout: findings are places in it."""
    if before := document.layout_name:
        transaction.on_commit(partial(storage.delete, before))
    document.layout_name = _keep(document, "layout", layout_of(pairs).to_json())
    document.pairs = len(pairs)
    document.save(update_fields=["data_name", "layout_name", "pairs"])


def _keep(document: Document, area: str, data: bytes) -> str:
    """Seal `data` under the firm's key; returns its name in the storage."""
    firm = document.tenant
    return storage.put(tenant_id=firm.id, wrapped_key=firm.wrapped_key, area=area, data=data).name
