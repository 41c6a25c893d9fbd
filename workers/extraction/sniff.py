"""What a file is by its name and by its bytes; the two must agree."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePath

from webapp.documents.formats import KINDS, SAVE_AS
from workers.extraction.packed import DAMAGE
from workers.extraction.result import ExtractionRefused

DESCRIBED = {
    "pdf": "a PDF",
    "docx": "a Word file",
    "doc": "an old Word file",
    "wpd": "a WordPerfect file",
    "rtf": "an RTF file",
    "odt": "an OpenDocument text",
    "html": "a web page",
    "eml": "an e-mail",
    "zip": "a ZIP archive",
    "xlsx": "a spreadsheet",
}
_TEXT = {"txt", "md", "html", "eml", "jsonl", "json", "csv"}
_PACKED = {"docx", "odt", "xlsx", "zip"}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    (b"\x89PNG\r\n", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
)
_SPACE = b"\xef\xbb\xbf \t\r\n"
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HEADER = re.compile(rb"[!-9;-~]+:|From ")


def kind_of(name: str, data: bytes) -> str:
    """One of the kinds in `formats.KINDS`; `data` is the whole file.

    Raises ExtractionRefused (unsupported, encrypted, wrong_type) when the name promises nothing we read, or
    something else than the bytes hold.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix == ".msg":
        raise ExtractionRefused(
            "unsupported",
            "Housestyle does not read Outlook's .msg files; save this e-mail as .eml and upload that.",
        )
    promised = KINDS.get(suffix)
    if promised is None:
        shown = suffix if suffix.isascii() and 1 < len(suffix) <= 8 else "such"
        raise ExtractionRefused(
            "unsupported", f"Housestyle does not read {shown} files; save this one as {SAVE_AS}."
        )
    held, described = _content(data)
    if held == promised or (held is None and described is None and promised in _TEXT | {"zip"}):
        return _checked_text(promised, suffix, data)
    if held in ("html", "eml") and promised in _TEXT:  # a note on markup, a message kept as plain text
        return promised
    if described == "broken" and promised in _PACKED:  # its reader says that it is damaged
        return promised
    if data.startswith(_OLE) and _names(data, "EncryptedPackage"):
        raise locked("This file")
    raise _mislabelled(suffix, promised, held, described)


def locked(what: str) -> ExtractionRefused:
    return ExtractionRefused(
        "encrypted", f"{what} is locked with a password; remove the password and upload it again."
    )


def _mislabelled(suffix: str, promised: str, held: str | None, described: str | None) -> ExtractionRefused:
    if held is not None:
        ending = next(ending for ending, kind in KINDS.items() if kind == held)
        remedy = f"rename it to end in {ending} and upload it again"
    else:
        remedy = f"open it in the program that made it and save it as {SAVE_AS}"
    is_what = f"is {described}"
    if described in (None, "broken"):
        is_what = f"does not hold {DESCRIBED.get(promised, 'text')}"
    return ExtractionRefused("wrong_type", f"This file is named {suffix} but {is_what}; {remedy}.")


def _checked_text(promised: str, suffix: str, data: bytes) -> str:
    if promised == "html" and b"<" not in data:
        raise _mislabelled(suffix, promised, None, None)
    if promised == "eml" and not _HEADER.match(data.lstrip(_SPACE)):
        raise _mislabelled(suffix, promised, None, None)
    return promised


def _content(data: bytes) -> tuple[str | None, str | None]:
    """Which of our kinds the bytes are, and what to call them; (None, None) for what may be plain text."""
    held: str | None = None
    if b"%PDF-" in data[:1024]:
        held = "pdf"
    elif data.startswith(b"PK\x03\x04"):
        return _packed(data)
    elif data.startswith(_OLE):
        return _compound(data)
    elif data.startswith(b"\xffWPC"):
        held = "wpd"
    elif data.startswith(b"{\\rtf"):
        held = "rtf"
    elif _PAGE.match(data[:1024].lstrip(_SPACE)):
        held = "html"
    if held:
        return held, DESCRIBED[held]
    return None, next((name for magic, name in _OTHERS if data.startswith(magic)), None)


def _packed(data: bytes) -> tuple[str | None, str | None]:
    """Which of the formats that are ZIP archives inside."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "mimetype" in names:
                with archive.open("mimetype") as member:
                    if member.read(100).strip() == b"application/vnd.oasis.opendocument.text":
                        return "odt", DESCRIBED["odt"]
    except DAMAGE:
        return None, "broken"
    if "[Content_Types].xml" in names:
        for folder, held in (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", None)):
            if any(name.startswith(folder) for name in names):
                return held, DESCRIBED[held] if held else "a PowerPoint file"
    return "zip", DESCRIBED["zip"]


def _compound(data: bytes) -> tuple[str | None, str | None]:
    """Which of the old Office formats, and of locked new ones ([MS-CFB]; [MS-OFFCRYPTO] 2.3.4)."""
    if _names(data, "WordDocument"):
        return "doc", DESCRIBED["doc"]
    for stream, described in (
        ("__substg1.0_", "an Outlook e-mail"),
        ("Workbook", "an old Excel file"),
        ("PowerPoint Document", "an old PowerPoint file"),
    ):
        if _names(data, stream):
            return None, described
    return None, "an old Office file"


def _names(data: bytes, stream: str) -> bool:
    """Whether an OLE file has a stream of this name: its directory spells names in UTF-16."""
    return stream.encode("utf-16-le") in data
