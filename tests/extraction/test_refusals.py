"""Each file that cannot be used gets one sentence that says what is wrong and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF, body, document, docx, overlapping_docx, packed, pdf, pdf_bomb
from workers.extraction import ExtractionRefused, Limits

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
LOCKED_DOCX = OLE + "EncryptedPackage".encode("utf-16-le") + bytes(100)
BILLION_LAUGHS = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>' + document(
    "<w:p><w:r><w:t>&b;</w:t></w:r></w:p>"
)

BAD = {
    "an empty file": (b"", "a.pdf", "empty"),
    "blank text": (b" \n\n \n", "a.txt", "no_text"),
    "a Word file with no words": (docx(body(["", "1."])), "a.docx", "no_text"),
    "letters of an unknown font": (docx(body(["\ue001\ue002\ue003 and"] * 20)), "a.docx", "unreadable"),
    "a scan": (pdf([["", ""], []]), "a.pdf", "no_text"),
    "a locked PDF": (pdf([BRIEF], "open sesame"), "a.pdf", "encrypted"),
    "a locked Word file": (LOCKED_DOCX, "a.docx", "encrypted"),
    "an old Word file": (OLE, "a.docx", "wrong_type"),
    "a cut PDF": (pdf()[:300], "a.pdf", "corrupt"),
    "a cut Word file": (docx()[:200], "a.docx", "corrupt"),
    "a Word file with broken XML": (docx("<w:document><w:p>"), "a.docx", "corrupt"),
    "a picture named PDF": (PNG, "a.pdf", "wrong_type"),
    "a PDF named DOCX": (pdf(), "a.docx", "wrong_type"),
    "a Word file named PDF": (docx(), "a.pdf", "wrong_type"),
    "a PDF named TXT": (pdf(), "a.txt", "wrong_type"),
    "text named PDF": (b"just words", "a.pdf", "wrong_type"),
    "a program named TXT": (b"\x7fELF" + bytes(200), "a.txt", "wrong_type"),
    "RTF named DOC": (b"{\\rtf1 words}", "a.doc", "wrong_type"),
    "an Excel file named DOC": (OLE + "Workbook".encode("utf-16-le"), "a.doc", "wrong_type"),
    "an archive named DOCX": (packed({"a.txt": b"words"}), "a.docx", "wrong_type"),
    "a Word file named ZIP": (docx(), "a.zip", "wrong_type"),
    "text named WPD": (b"just words", "a.wpd", "wrong_type"),
    "text named HTML": (b"just words", "a.html", "wrong_type"),
    "text named EML": (b"just words, no heads", "a.eml", "wrong_type"),
    "a page named DOC": (b"<html><p>words</p></html>", "a.doc", "wrong_type"),
    "an Outlook message": (OLE + "__substg1.0_".encode("utf-16-le"), "a.msg", "unsupported"),
    "bytes named TXT": (bytes(range(256)) * 4, "a.txt", "wrong_type"),
    "half a character": ("ä".encode("utf-16")[:-1], "a.txt", "wrong_type"),
    "a cut spreadsheet": (b"PK\x03\x04", "a.xlsx", "corrupt"),
    "a picture": (PNG, "a.png", "unsupported"),
    "a name without an ending": (b"words", "README", "unsupported"),
    "members that overlap": (overlapping_docx(), "a.docx", "too_complex"),
    "a member that unpacks a thousandfold": (docx(big=bytes(8 << 20)), "a.docx", "too_complex"),
    "XML nested without end": (docx(document("<w:p>" * 100_000)), "a.docx", "corrupt"),
}


@pytest.mark.parametrize(("data", "name", "code"), BAD.values(), ids=BAD.keys())
def test_it_refuses_in_one_sentence(read: Read, data: bytes, name: str, code: str) -> None:
    with pytest.raises(ExtractionRefused) as refused:
        read(data, name)
    assert refused.value.code == code
    is_one_sentence(refused.value.message)


def test_a_wrong_name_is_told_with_the_right_one(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match=r"named \.doc but is an RTF file; rename it to end in \.rtf"):
        read(b"{\\rtf1 words}", "a.doc")
    with pytest.raises(ExtractionRefused, match=r"save this e-mail as \.eml"):
        read(OLE, "a.msg")


def is_one_sentence(message: str) -> None:
    assert re.fullmatch(r"[A-Z].*[^.]\.", message)
    assert not re.search(r"\. [A-Z]|\n|Error|Traceback", message)


def test_it_refuses_a_pdf_with_too_many_pages(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="has 3 pages and one document may have 2") as refused:
        read(pdf([BRIEF] * 3), "long.pdf", Limits(pages=2))
    assert refused.value.code == "too_many_pages"


def test_it_refuses_a_file_that_is_too_large(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="larger than 1 MB") as refused:
        read(b"words " * 200_000, "long.txt", Limits(file_bytes=2**20))
    assert refused.value.code == "too_large"


@pytest.mark.parametrize("name", ["long.txt", "long.docx", "long.pdf"])
def test_it_refuses_more_text_than_a_document_may_hold(read: Read, name: str) -> None:
    long = [" ".join(["word"] * 15)] * 40
    data = {"long.txt": "\n\n".join(long).encode(), "long.docx": docx(body(long)), "long.pdf": pdf([long])}
    with pytest.raises(ExtractionRefused, match="more text than one document may") as refused:
        read(data[name], name, Limits(text_bytes=2000))
    assert refused.value.code == "too_large"


def test_a_pdf_bomb_is_refused(read: Read) -> None:
    bomb = pdf_bomb(unpacked=300 * 2**20)
    assert len(bomb) < 2**21
    with pytest.raises(ExtractionRefused) as refused:
        read(bomb, "bomb.pdf")
    assert refused.value.code == "too_complex"
    is_one_sentence(refused.value.message)


def test_a_word_bomb_of_tiny_paragraphs_is_refused(read: Read) -> None:
    xml = document("<w:p/>" * 6_000_000)
    with pytest.raises(ExtractionRefused) as refused:
        read(docx(xml), "bomb.docx")
    assert refused.value.code == "too_complex"


def test_entities_are_never_expanded(read: Read) -> None:
    with pytest.raises(ExtractionRefused):
        read(docx(BILLION_LAUGHS), "laughs.docx")


def test_a_file_that_needs_too_much_memory_is_refused_in_words(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="needs more memory") as refused:
        read(b"word " * (9 * 2**20), "long.txt", Limits(memory_bytes=300 * 2**20))
    assert refused.value.code == "too_complex"


def test_a_file_that_takes_too_long_is_refused_in_words(read: Read) -> None:
    with pytest.raises(ExtractionRefused, match="takes too long") as refused:
        read(b"word. " * (8 * 2**20), "long.txt", Limits(cpu_seconds=1, text_bytes=2**30, memory_bytes=2**34))
    assert refused.value.code == "too_complex"


def test_a_file_that_outlasts_its_wall_time_is_refused_in_words(read: Read, tmp_path: Path) -> None:
    with pytest.raises(ExtractionRefused, match="takes too long"):
        read(docx(), "slow.docx", Limits(wall_seconds=0))
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not any(bytes(tmp_path) in command for command in running)
