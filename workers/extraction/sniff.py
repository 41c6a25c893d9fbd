"""What a file is by its name and by its first bytes; the two must agree."""

from __future__ import annotations

from pathlib import PurePath

from workers.extraction.result import ExtractionRefused

KINDS = {".pdf": "pdf", ".docx": "docx", ".txt": "txt", ".text": "txt", ".md": "txt"}

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PICTURES = ((b"\x89PNG\r\n", "PNG"), (b"\xff\xd8\xff", "JPEG"), (b"GIF8", "GIF"), (b"BM", "BMP"))
_TIFF = (b"II*\x00", b"MM\x00*")
_OTHERS = (
    (b"{\\rtf", "an RTF file"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
)


def kind_of(name: str, data: bytes) -> str:
    """`pdf`, `docx` or `txt`; `data` is the whole file.

    Raises ExtractionRefused (unsupported, encrypted, wrong_type) when the name promises nothing we read, or
    something else than the bytes hold.
    """
    suffix = PurePath(name).suffix.lower()
    promised = KINDS.get(suffix)
    if promised is None:
        shown = suffix if suffix.isascii() and 1 < len(suffix) <= 8 else "such"
        raise ExtractionRefused(
            "unsupported", f"Housestyle does not read {shown} files; save this one as PDF, DOCX or TXT."
        )
    held, described = _content(data)
    if held == promised or (promised == "txt" and held is None and described is None):
        return promised
    if promised == "docx" and data.startswith(_OLE):
        raise _old_or_encrypted_word(data)
    is_what = f"is {described}" if described else f"does not hold a {promised.upper()}"
    raise ExtractionRefused(
        "wrong_type",
        f"This file is named {suffix} but {is_what}; open it in the program that made it and save it as "
        "PDF, DOCX or TXT.",
    )


def _content(data: bytes) -> tuple[str | None, str | None]:
    """Which of our kinds the bytes are, and what to call them; (None, None) for what may be plain text."""
    if b"%PDF-" in data[:1024]:
        return "pdf", "a PDF"
    if data.startswith(b"PK\x03\x04"):
        return ("docx", "a Word file") if b"word/" in data else (None, "a ZIP archive")
    if data.startswith(_OLE):
        return None, "an old Office file"
    for magic, name in _PICTURES:
        if data.startswith(magic):
            return None, f"a {name} picture"
    if data.startswith(_TIFF):
        return None, "a TIFF picture"
    for magic, name in _OTHERS:
        if data.startswith(magic):
            return None, name
    return None, None


def _old_or_encrypted_word(data: bytes) -> ExtractionRefused:
    """Office keeps an encrypted .docx, and every .doc, in the OLE container format ([MS-OFFCRYPTO] 2.3.4)."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return ExtractionRefused(
            "encrypted", "This Word file is locked with a password; remove the password and upload it again."
        )
    return ExtractionRefused(
        "wrong_type", "This is an old Word file (.doc) under the name .docx; save it as DOCX in Word."
    )
