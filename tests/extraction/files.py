"""Real files for the tests: PDFs by reportlab, Word files by zipfile."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from xml.sax.saxutils import escape

from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

BRIEF = (
    "The motion should be granted because the complaint pleads no fact from which notice could be inferred.",
    "See Bell Atlantic Corp. v. Twombly, 550 U.S. 544, 570 (2007).",
)


def pdf(pages: Sequence[Sequence[str]] = (BRIEF,), password: str | None = None) -> bytes:
    """A PDF with these lines on these pages; with `password`, encrypted so that opening asks for it."""
    out = io.BytesIO()
    encryption = StandardEncryption(password, strength=128) if password is not None else None
    canvas = Canvas(out, encrypt=encryption, pageCompression=1)
    for lines in pages:
        canvas.setFont("Times-Roman", 11)
        for number, line in enumerate(lines):
            canvas.drawString(72 + 5 * (len(line) - len(line.lstrip())), 720 - 13 * number, line.strip())
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def body(paragraphs: Sequence[str] = BRIEF) -> str:
    """`word/document.xml` with these paragraphs."""
    text = "".join(f"<w:p><w:r><w:t>{escape(paragraph)}</w:t></w:r></w:p>" for paragraph in paragraphs)
    return document(text)


def document(inner: str) -> str:
    """`word/document.xml` around this markup."""
    names = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return f"<w:document {names}><w:body>{inner}</w:body></w:document>"


def docx(xml: str | bytes | None = None, **others: bytes) -> bytes:
    """A Word file with this body, and `others` as further members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", body() if xml is None else xml)
        for name, data in others.items():
            archive.writestr(name, data)
    return out.getvalue()


def overlapping_docx(copies: int = 200) -> bytes:
    """A Word file whose list names one member many times (Fifield 2019, the simplest form)."""
    plain = docx()
    end = plain.rindex(b"PK\x05\x06")
    size, start = struct.unpack("<II", plain[end + 12 : end + 20])
    entry = plain[start : start + size]
    count = struct.unpack("<H", plain[end + 10 : end + 12])[0] * copies
    tail = plain[end : end + 8] + struct.pack("<HHII", count, count, size * copies, start) + b"\0\0"
    return plain[:start] + entry * copies + tail


def pdf_bomb(unpacked: int) -> bytes:
    """A one-page PDF, valid in all else, whose content stream unpacks to `unpacked` bytes of drawing."""
    packer = zlib.compressobj(9)
    piece = b"(The court so held.) Tj 0 -12 Td\n" * 32768
    stream = b"".join(packer.compress(piece) for _ in range(max(1, unpacked // len(piece)))) + packer.flush()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
        b"<</Length %d/Filter/FlateDecode>>stream\n%s\nendstream" % (len(stream), stream),
    ]
    out, offsets = bytearray(b"%PDF-1.4\n"), []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj" % number + content + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + table + b"trailer<</Size 5/Root 1 0 R>>\nstartxref\n"
    return bytes(out) + b"%d\n%%%%EOF" % start
