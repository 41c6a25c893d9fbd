from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.conftest import Firm
from tests.factories import end_job
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.layout import Block, BlockKind, Layout
from webapp.documents.models import Document
from webapp.documents.reading import PART_CHARACTERS, sheet


def document_of(firm: Firm, blocks: Sequence[Block], pages: int) -> Document:
    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="a.pdf", data=str(blocks).encode())
        end_job(
            document.job,
            record=lambda: services.record_text(
                document=document, layout=Layout(tuple(blocks)), pages=pages, kind="pdf"
            ),
        )
    return document


def test_a_page_shows_its_own_blocks_and_its_footnotes_apart(firm: Firm) -> None:
    blocks = [
        Block(BlockKind.HEADING, "I. Facts", page=1, level=1),
        Block(BlockKind.PARAGRAPH, "On two.", page=2),
        Block(BlockKind.FOOTNOTE, "1 Below two.", page=2),
        Block(BlockKind.PARAGRAPH, "On three.", page=3),
    ]
    document = document_of(firm, blocks, pages=3)
    with tenant_scope(firm.tenant.id):
        shown = sheet(document, "2")
        assert (shown.word, shown.number, shown.count) == ("Page", 2, 3)
        assert (shown.before, shown.after) == (1, 3)
        assert shown.body == (blocks[1],)
        assert shown.footnotes == (blocks[2],)


@pytest.mark.parametrize(
    ("wanted", "number"),
    [(None, 1), ("", 1), ("0", 1), ("99", 3), ("-1", 1), ("²", 1), ("x", 1), ("9" * 30, 1)],
)
def test_a_page_that_is_not_there_is_the_nearest_one(firm: Firm, wanted: str | None, number: int) -> None:
    blocks = [Block(BlockKind.PARAGRAPH, f"On {page}.", page=page) for page in (1, 2, 3)]
    document = document_of(firm, blocks, pages=3)
    with tenant_scope(firm.tenant.id):
        assert sheet(document, wanted).number == number


def test_a_text_without_pages_is_read_in_parts_of_which_none_is_lost(firm: Firm) -> None:
    blocks = [Block(BlockKind.PARAGRAPH, f"{n} {'word ' * 200}".strip()) for n in range(100)]
    document = document_of(firm, blocks, pages=1)
    with tenant_scope(firm.tenant.id):
        count = sheet(document, None).count
        parts = [sheet(document, str(number)) for number in range(1, count + 1)]
    assert parts[0].word == "Part"
    assert [block for part in parts for block in part.body] == blocks
    longest = max(len(block.text) for block in blocks)
    assert all(sum(len(block.text) for block in part.body) < PART_CHARACTERS + longest for part in parts)


def test_a_document_read_before_layouts_were_kept_is_paragraphs(firm: Firm) -> None:
    document = document_of(
        firm, [Block(BlockKind.PARAGRAPH, "One."), Block(BlockKind.QUOTE, "Two.")], pages=1
    )
    with tenant_scope(firm.tenant.id):
        document.layout_name = ""
        assert [block.kind for block in sheet(document, None).body] == [BlockKind.PARAGRAPH] * 2
        assert selectors.text(document) == "One.\n\nTwo."


def test_a_text_that_only_knows_how_many_pages_it_had_is_read_in_parts(firm: Firm) -> None:
    document = document_of(firm, [Block(BlockKind.PARAGRAPH, "All of it.")], pages=41)
    with tenant_scope(firm.tenant.id):
        shown = sheet(document, "7")
    assert (shown.word, shown.number, shown.count) == ("Part", 1, 1)
    assert [block.text for block in shown.body] == ["All of it."]
