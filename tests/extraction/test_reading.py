"""Each format gives the text a person would read, in paragraphs."""

from __future__ import annotations

import codecs

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF, body, document, docx, pdf
from webapp.documents.layout import Layout
from workers.extraction import Extracted


def test_it_reads_a_pdf_page_by_page(read: Read) -> None:
    found = read(pdf([BRIEF, BRIEF]), "brief.pdf")
    assert (found.kind, found.pages) == ("pdf", 2)
    assert "550 U.S. 544, 570 (2007)" in found.text


def test_it_reads_a_word_file(read: Read) -> None:
    assert read(docx(), "brief.docx") == Extracted("docx", 1, Layout.of_text("\n\n".join(BRIEF)))


@pytest.mark.parametrize("name", ["brief.txt", "BRIEF.TXT", "brief.text"])
def test_it_reads_a_text_file(read: Read, name: str) -> None:
    assert read("\n\n".join(BRIEF).encode(), name) == Extracted("txt", 1, Layout.of_text("\n\n".join(BRIEF)))


@pytest.mark.parametrize(
    "data",
    [
        "“§ 2” naïve".encode(),
        codecs.BOM_UTF8 + "“§ 2” naïve".encode(),
        "“§ 2” naïve".encode("utf-16"),
        codecs.BOM_UTF16_BE + "“§ 2” naïve".encode("utf-16-be"),
        "“§ 2” naïve".encode("cp1252"),
    ],
)
def test_it_reads_text_in_the_encodings_of_office_programs(read: Read, data: bytes) -> None:
    assert read(data, "note.txt").text == "“§ 2” naïve"


def test_a_pdf_that_only_forbids_printing_is_read(read: Read) -> None:
    assert "Twombly" in read(pdf(password=""), "brief.pdf").text


def test_word_text_is_as_it_reads_with_changes_accepted(read: Read) -> None:
    xml = document(
        "<w:p><w:r><w:t>The lease </w:t></w:r><w:del><w:r><w:delText>ended</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>runs</w:t></w:r></w:ins><w:r><w:tab/><w:t>on</w:t></w:r>"
        "<w:r><w:instrText>PAGE 7</w:instrText></w:r></w:p>"
    )
    assert read(docx(xml), "lease.docx").text == "The lease runs on"


def test_word_pages_are_those_word_laid_out(read: Read) -> None:
    xml = document("<w:p><w:r><w:t>One</w:t><w:lastRenderedPageBreak/><w:t>Two</w:t></w:r></w:p>")
    assert read(docx(xml), "two.docx").pages == 2


def test_wrapped_lines_become_paragraphs_and_broken_words_are_joined(read: Read) -> None:
    text = (
        "    The defendant had actual notice of the hear-\n"
        "ing and acted in good faith. It says that good-\n"
        "faith reliance excuses it.\n"
        "    The plaintiff replies that good-faith reliance\n"
        "is no defence at all.\n"
    )
    assert read(text.encode(), "wrapped.txt").text == (
        "The defendant had actual notice of the hearing and acted in good faith. It says that good-faith "
        "reliance excuses it.\n\nThe plaintiff replies that good-faith reliance is no defence at all."
    )


def test_running_heads_and_page_numbers_are_dropped(read: Read) -> None:
    words = ["notice", "standing", "damages", "costs", "delay"]
    pages = [
        [
            f"Acme v. Bolt: Reply Brief    {number}",
            "Argument",
            f"The plaintiff never mentions {word} in the complaint.",
            f"On {word} the law is settled.",
            f"The answer on {word} is plain.",
            f"- {number} -",
        ]
        for number, word in enumerate(words, 1)
    ]
    text = read(pdf(pages), "brief.pdf").text
    assert text.count("Reply Brief") == text.count("Argument") == 1
    assert all(text.count(word) == 3 for word in words)
    assert "- 3 -" not in text


def test_a_year_that_ends_a_page_is_no_page_number(read: Read) -> None:
    pages = "So it was held in Smith v. Jones, 257 U. S. 92\n(1921).\n\f\nThe motion is granted.\n\n\f\nEnd."
    assert "(1921)." in read(pages.encode(), "pages.txt").text


def test_a_paragraph_goes_on_across_a_page(read: Read) -> None:
    pages = "The court held that the notice\n\n1\f2\n\nwas good. So it ends."
    found = read(pages.encode(), "pages.txt")
    assert (found.pages, found.text) == (2, "The court held that the notice was good. So it ends.")


def test_characters_that_databases_refuse_are_left_out(read: Read) -> None:
    xml = body(["The\u200b \ufb01rst \u202erule\u00ad holds"])
    assert read(docx(xml), "odd.docx").text == "The first rule holds"
