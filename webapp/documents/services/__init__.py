"""What is done to documents, one file per verb."""

from webapp.documents.services.columns import choose_columns
from webapp.documents.services.delete import delete
from webapp.documents.services.likeness import record_likeness
from webapp.documents.services.members import add_members
from webapp.documents.services.move import move
from webapp.documents.services.record import record_pairs, record_table, record_text
from webapp.documents.services.upload import Duplicate, upload
from webapp.documents.services.withdraw import note_download, restore, withdraw

__all__ = [
    "Duplicate",
    "add_members",
    "choose_columns",
    "delete",
    "move",
    "note_download",
    "record_likeness",
    "record_pairs",
    "record_table",
    "record_text",
    "restore",
    "upload",
    "withdraw",
]
