"""Real files for the tests, made by code: nothing of a client is in them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from email.message import EmailMessage
from xml.sax.saxutils import escape

import openpyxl
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


STYLES = """
<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/></w:style>
<w:style w:type="paragraph" w:styleId="H1"><w:name w:val="heading 1"/><w:basedOn w:val="Normal"/>
  <w:pPr><w:numPr><w:numId w:val="1"/></w:numPr><w:outlineLvl w:val="0"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="H2"><w:name w:val="heading 2"/><w:basedOn w:val="H1"/>
  <w:pPr><w:numPr><w:ilvl w:val="1"/></w:numPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
<w:style w:type="paragraph" w:styleId="Block"><w:name w:val="Block Text"/><w:basedOn w:val="Normal"/>
</w:style>
<w:style w:type="character" w:styleId="Secret"><w:name w:val="Secret"/><w:rPr><w:vanish/></w:rPr></w:style>
"""
NUMBERING = """
<w:abstractNum w:abstractNumId="7">
  <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="upperRoman"/><w:lvlText w:val="%1."/></w:lvl>
  <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="upperLetter"/><w:lvlText w:val="%2."/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="8">
  <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
  <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerLetter"/><w:lvlText w:val="(%2)"/></w:lvl>
</w:abstractNum>
<w:abstractNum w:abstractNumId="9">
  <w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/><w:lvlText w:val="\uf0b7"/></w:lvl>
</w:abstractNum>
<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>
<w:num w:numId="2"><w:abstractNumId w:val="8"/></w:num>
<w:num w:numId="3"><w:abstractNumId w:val="9"/></w:num>
<w:num w:numId="4"><w:abstractNumId w:val="8"/>
  <w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>
"""


def p(text: str, style: str = "", properties: str = "") -> str:
    """A `w:p` of one run; `text` may hold markup between runs as `</w:t></w:r>...<w:r><w:t>`."""
    named = f'<w:pStyle w:val="{style}"/>' if style else ""
    run = f'<w:r><w:t xml:space="preserve">{text}</w:t></w:r>'
    return f"<w:p><w:pPr>{named}{properties}</w:pPr>{run}</w:p>"


def numbered(list_id: int, level: int = 0) -> str:
    return f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{list_id}"/></w:numPr>'


def part(root: str, inner: str) -> bytes:
    names = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    return f"<w:{root} {names}>{inner}</w:{root}>".encode()


def word(inner: str, *, footnotes: str = "", endnotes: str = "", comments: str = "") -> bytes:
    """A Word file with styles and lists, as other programs open it too."""
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    parts = {
        "document": document(inner).encode(),
        "styles": part("styles", STYLES),
        "numbering": part("numbering", NUMBERING),
    }
    for name, notes in (("footnotes", footnotes), ("endnotes", endnotes), ("comments", comments)):
        if notes:
            parts[name] = part(name, notes)
    types = "".join(
        f'<Override PartName="/word/{name}.xml" ContentType="{kind}.'
        f'{"document.main" if name == "document" else name}+xml"/>'
        for name in parts
    )
    schema = "http://schemas.openxmlformats.org"
    links = "".join(
        f'<Relationship Id="r{number}" Target="{name}.xml" '
        f'Type="{schema}/officeDocument/2006/relationships/{name}"/>'
        for number, name in enumerate(parts)
        if name != "document"
    )
    relations = f'<Relationships xmlns="{schema}/package/2006/relationships">'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{schema}/package/2006/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'{relations}<Relationship Id="r0" Target="word/document.xml" '
            f'Type="{schema}/officeDocument/2006/relationships/officeDocument"/></Relationships>',
        )
        archive.writestr("word/_rels/document.xml.rels", f"{relations}{links}</Relationships>")
        for name, data in parts.items():
            archive.writestr(f"word/{name}.xml", data)
    return out.getvalue()


def wordperfect(text: str = "\n\n".join(BRIEF), key: int = 0) -> bytes:
    """A WordPerfect 5.1 file: its prefix, an empty index, and the words; `key` is of its password, if any."""
    index = struct.pack("<HHHI", 0xFFFB, 5, 50, 0) + bytes(40)
    prefix = struct.pack("<4sIBBBBHH", b"\xffWPC", 16 + len(index), 1, 10, 0, 1, key, 0)
    return prefix + index + text.encode("ascii")


def packed(members: dict[str, bytes]) -> bytes:
    """A ZIP archive of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def mail(
    body: str = "\n\n".join(BRIEF), html: str = "", attached: Sequence[tuple[str, bytes]] = (), **heads: str
) -> bytes:
    """An e-mail with a plain body, or with an HTML one besides, and these attachments."""
    message = EmailMessage()
    given = {"Subject": "Motion to dismiss", "From": "Alice <alice@firm.example>", "To": "bob@firm.example"}
    for name, value in {**given, "Date": "Tue, 03 Mar 2026 09:00:00 +0000", **heads}.items():
        message[name] = value
    if body:
        message.set_content(body)
    if html:
        (message.add_alternative if body else message.set_content)(html, subtype="html")
    for name, data in attached:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def workbook(rows: Sequence[Sequence[object]], *others: Sequence[Sequence[object]]) -> bytes:
    """An Excel file whose first sheet has these rows."""
    book = openpyxl.Workbook()
    for number, sheet_rows in enumerate((rows, *others)):
        sheet = book.create_sheet(index=number)
        for row in sheet_rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()
