"""Word files: a ZIP checked before anything is unpacked, and one XML member read as a stream."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO

from lxml import etree

from webapp.documents.layout import Layout
from workers.extraction.cleanup import readable
from workers.extraction.result import Extracted, ExtractionRefused, Limits, too_long

BODY = "word/document.xml"
MAX_MEMBERS = 5000
MAX_RATIO = 200  # unpacked bytes to packed; a real body of a Word file has 5 to 30
SMALL = 2**20  # bytes that no ratio is asked of

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def _corrupt() -> ExtractionRefused:
    return ExtractionRefused(
        "corrupt", "This Word file is damaged; open it in Word, save it as a new DOCX and upload that."
    )


def _bomb() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        "This Word file unpacks to far more than a document holds; save it as a PDF or split it.",
    )


def read_docx(data: bytes, limits: Limits) -> Extracted:
    """The text of a Word file's body, as it reads with all changes accepted.

    Raises ExtractionRefused: encrypted, corrupt, too_complex, too_large.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = _check(archive, limits)
            with archive.open(member) as body:
                paragraphs, pages = _paragraphs(body, limits)
    except (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError, ValueError):
        raise _corrupt() from None
    return Extracted("docx", pages, Layout.of_text("\n\n".join(paragraphs)))


def _check(archive: zipfile.ZipFile, limits: Limits) -> zipfile.ZipInfo:
    """The body's entry, once the archive's own list proves harmless. Nothing is unpacked here."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > limits.unpacked_bytes:
        raise _bomb()
    ends = [member.header_offset for member in members[1:]] + [archive.start_dir]
    for member, end in zip(members, ends, strict=True):
        # 30 bytes are the least a member's own header takes. Members that overlap share their bytes, which is
        # how a small file unpacks without bound (Fifield 2019); Python below 3.11.8 does not look.
        if member.header_offset + 30 + member.compress_size > end:
            raise _bomb()
        if member.file_size > SMALL and member.file_size > MAX_RATIO * member.compress_size:
            raise _bomb()
    bodies = [member for member in members if member.filename == BODY]
    if len(bodies) != 1:
        raise _corrupt()
    if bodies[0].flag_bits & 0x1:
        raise ExtractionRefused(
            "encrypted", "This Word file is locked with a password; remove the password and upload it again."
        )
    return bodies[0]


def _paragraphs(body: IO[bytes], limits: Limits) -> tuple[list[str], int]:
    """The text of each `w:p` in document order, and the number of pages Word last laid out."""
    found: list[str] = []
    pages, characters = 1, 0
    open_texts: list[list[str]] = []  # a text box nests paragraphs inside a paragraph
    fallback = 0
    for event, element in _events(body):
        name = element.tag.replace(_STRICT, _W)
        if name == _FALLBACK:
            fallback += 1 if event == "start" else -1  # an older program's copy of what stands beside it
        elif fallback:
            pass
        elif name == f"{_W}p":
            if event == "start":
                open_texts.append([])
            else:
                found.append("".join(open_texts.pop()))
        elif event == "end" and open_texts:
            piece = _piece(name, element)
            characters += len(piece)
            open_texts[-1].append(piece)
            pages += name == f"{_W}lastRenderedPageBreak"
        if event == "end":
            element.clear()
            parent = element.getparent()
            while parent is not None and parent[0] is not element:
                del parent[0]
        if characters > limits.text_bytes:
            raise too_long()
    return [text for text in map(readable, found) if text], pages


def _piece(name: str, element: etree._Element) -> str:
    if name == f"{_W}t":
        return element.text or ""
    if name in (f"{_W}tab", f"{_W}br", f"{_W}cr"):
        return " "
    return "-" if name == f"{_W}noBreakHyphen" else ""


def _events(body: IO[bytes]) -> Iterator[tuple[str, etree._Element]]:
    """Start and end of each element. Entities are not resolved, nothing is fetched, depth stays bounded."""
    parser: Iterator[tuple[str, etree._Element]] = etree.iterparse(
        body,
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return parser
