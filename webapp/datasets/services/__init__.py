"""What is done to datasets, one file per verb."""

from webapp.datasets.services.build import BATCH, Build
from webapp.datasets.services.create import create, without_withdrawn
from webapp.datasets.services.delete import delete
from webapp.datasets.services.drafts import discard, edit, exclude, freeze, open_draft, reopen, undo
from webapp.datasets.services.exchange import as_line, export_batch, export_header, note_export
from webapp.datasets.services.verify import verify

__all__ = [
    "BATCH",
    "Build",
    "as_line",
    "create",
    "delete",
    "discard",
    "edit",
    "exclude",
    "export_batch",
    "export_header",
    "freeze",
    "note_export",
    "open_draft",
    "reopen",
    "undo",
    "verify",
    "without_withdrawn",
]
