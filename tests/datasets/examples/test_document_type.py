"""What kind of paper it is, as its first lines say."""

from __future__ import annotations

import pytest

from tests.datasets.examples.making import PLAIN, heading, paragraph
from webapp.datasets.examples.document_type import document_type, with_article
from webapp.documents.layout import Block


@pytest.mark.parametrize(
    ("title", "blocks", "type"),
    [
        ("scan.pdf", [heading("Brief in Support of the Motion to Dismiss")], "brief"),
        ("scan.pdf", [heading("MEMORANDUM OF LAW IN SUPPORT OF MOTION")], "memorandum"),
        ("scan.pdf", [heading("MEMORANDUM OPINION AND ORDER")], "opinion"),
        ("scan.pdf", [heading("Opinion Concerning the Privilege")], "opinion"),
        ("scan.pdf", [paragraph("JUSTICE KENNEDY delivered the opinion of the Court.")], "opinion"),
        ("scan.pdf", [heading("Motion for Summary Judgment")], "motion"),
        ("scan.pdf", [paragraph("Dear Ms. Vale,"), heading("Re: Motion to dismiss")], "letter"),
        ("scan.pdf", [heading("LEASE AGREEMENT")], "agreement"),
        ("01-note_pleading-standard.txt", [paragraph(PLAIN)], "note"),
        ("Settlement Agreement v3.docx", [], "agreement"),
        ("scan.pdf", [paragraph("A brief walk to the lake. " * 20)], "document"),
        ("scan.pdf", [heading(f"Part {n}") for n in range(20)] + [heading("Brief")], "document"),
        ("", [], "document"),
    ],
)
def test_it_is_told_from_the_title_and_the_first_lines(title: str, blocks: list[Block], type: str) -> None:
    assert document_type(title, blocks) == type


def test_a_heading_says_more_than_the_files_name() -> None:
    assert document_type("letter.docx", [heading("Complaint")]) == "complaint"


def test_it_reads_well_after_an_article() -> None:
    assert [with_article(type) for type in ("brief", "opinion")] == ["a brief", "an opinion"]
