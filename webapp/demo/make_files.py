"""Make the demo firms' Word and PDF files from their Markdown sources.

    python -m webapp.demo.make_files

The files are committed, so nothing runs this but a person who has edited a source. The bytes depend on the
sources alone: no dates, no random identifiers. Needs reportlab, which the `dev` extra brings.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

from webapp.datasets.paragraphs import is_heading, paragraphs

FIRMS = Path(__file__).parent / "firms"
# The third and sixth document of each firm are Word files, the other sources become PDFs.
WORD = ("03-", "06-")

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_DOCX = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/word/document.xml" ContentType="application/'
        'vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
    ),
    "_rels/.rels": (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
        '<Relationship Id="r1" Target="word/document.xml" '
        'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>'
        "</Relationships>"
    ),
}


def main() -> None:
    """Write a file beside each source and say which."""
    for source in sorted(FIRMS.glob("*/*.md")):
        parts = paragraphs(source.read_text(encoding="utf-8"))
        word = source.name.startswith(WORD)
        target = source.with_suffix(".docx" if word else ".pdf")
        target.write_bytes(docx(parts) if word else pdf(parts))
        print(f"{target.relative_to(FIRMS)}: {target.stat().st_size} bytes")


def docx(parts: list[str]) -> bytes:
    """A Word file of these paragraphs, headings bold."""
    runs = []
    for part in parts:
        bold = "<w:rPr><w:b/></w:rPr>" if is_heading(part) else ""
        runs.append(f'<w:p><w:r>{bold}<w:t xml:space="preserve">{escape(part)}</w:t></w:r></w:p>')
    body = f'<w:document xmlns:w="{_W}"><w:body>{"".join(runs)}</w:body></w:document>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**_DOCX, "word/document.xml": body}.items():
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, '<?xml version="1.0" encoding="UTF-8"?>' + content)
    return out.getvalue()


def pdf(parts: list[str]) -> bytes:
    """A PDF of these paragraphs on letter pages, with page numbers."""
    from reportlab.lib.pagesizes import LETTER
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    text = ParagraphStyle("text", fontName="Times-Roman", fontSize=11.5, leading=15, spaceAfter=9)
    heading = ParagraphStyle("heading", text, fontName="Times-Bold", spaceBefore=6, keepWithNext=1)
    out = io.BytesIO()

    def number(canvas: object, document: object) -> None:
        canvas.setFont("Times-Roman", 10)  # type: ignore[attr-defined]
        canvas.drawCentredString(306, 36, str(document.page))  # type: ignore[attr-defined]

    story = [Paragraph(escape(part), heading if is_heading(part) else text) for part in parts]
    document = SimpleDocTemplate(out, pagesize=LETTER, invariant=1, leftMargin=90, rightMargin=90)
    document.build(story, onFirstPage=number, onLaterPages=number)
    return out.getvalue()


if __name__ == "__main__":
    main()
