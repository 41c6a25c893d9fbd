"""The files that Housestyle reads, by the endings of their names. Standard library only, as `layout` is."""

from __future__ import annotations

KINDS = {
    ".pdf": "pdf",
    ".docx": "docx",
    ".doc": "doc",
    ".wpd": "wpd",
    ".rtf": "rtf",
    ".odt": "odt",
    ".html": "html",
    ".htm": "html",
    ".txt": "txt",
    ".text": "txt",
    ".md": "md",
    ".markdown": "md",
    ".eml": "eml",
    ".zip": "zip",
    ".jsonl": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".xlsx": "xlsx",
}

# What a page's file picker offers, as its `accept` attribute wants it.
ACCEPTED = ",".join(KINDS)

# For sentences: the formats a person can save as, when theirs is none of ours.
SAVE_AS = "PDF, DOCX or TXT"

# What LibreOffice turns into DOCX before it is read.
CONVERTED = frozenset({"doc", "wpd", "rtf", "odt"})
