"""Word files: structure by style, list and look; and what only Word shows is marked."""

from __future__ import annotations

import pytest

from tests.extraction.conftest import Read
from tests.extraction.files import BRIEF, document, docx, numbered, p, part, word
from webapp.documents.layout import Block, BlockKind, Mark
from workers.extraction import Extracted, ExtractionRefused, Limits


def kinds(found: Extracted) -> list[tuple[str, str]]:
    return [(block.kind.value, block.text) for block in found.layout.blocks]


def marked(found: Extracted, kind: str) -> list[tuple[str, str, str]]:
    """The marks of a kind: the words they cover, their note, their author."""
    return [
        (found.text[mark.start : mark.end], mark.note, mark.author)
        for mark in found.layout.marks
        if mark.kind == kind
    ]


def change(name: str, author: str, inner: str) -> str:
    around = f'<w:{name} w:id="1" w:author="{author}">{inner}</w:{name}>'
    return f'</w:t></w:r>{around}<w:r><w:t xml:space="preserve">'


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def deleted(text: str) -> str:
    return f'<w:r><w:delText xml:space="preserve">{text}</w:delText></w:r>'


def test_headings_follow_the_styles_and_carry_their_numbers(read: Read) -> None:
    inner = (
        p("Argument", "H1") + p("Standing", "H2") + p("Notice", "H2") + p("Conclusion", "H1") + p("So it is.")
    )
    assert read(word(inner), "a.docx").layout.blocks == (
        Block(BlockKind.HEADING, "I. Argument", level=1),
        Block(BlockKind.HEADING, "A. Standing", level=2),
        Block(BlockKind.HEADING, "B. Notice", level=2),
        Block(BlockKind.HEADING, "II. Conclusion", level=1),
        Block(BlockKind.PARAGRAPH, "So it is."),
    )


def test_an_outline_level_makes_a_heading_and_can_unmake_one(read: Read) -> None:
    inner = p("Facts", properties='<w:outlineLvl w:val="2"/>') + p(
        "Contents", "H1", '<w:numPr><w:numId w:val="0"/></w:numPr><w:outlineLvl w:val="9"/>'
    )
    assert [(block.kind, block.level) for block in read(word(inner), "a.docx").layout.blocks] == [
        (BlockKind.HEADING, 3),
        (BlockKind.PARAGRAPH, 0),
    ]


def test_a_bold_line_in_the_middle_is_a_heading_without_any_style(read: Read) -> None:
    inner = (
        f'<w:p><w:pPr><w:jc w:val="center"/></w:pPr>{run("STATEMENT OF THE CASE", "<w:b/>")}</w:p>'
        f"<w:p>{run('The plaintiff ')}{run('never', '<w:b/>')}{run(' gave notice.')}</w:p>"
    )
    assert kinds(read(word(inner), "a.docx")) == [
        ("heading", "STATEMENT OF THE CASE"),
        ("paragraph", "The plaintiff never gave notice."),
    ]


def test_lists_are_numbered_as_word_numbers_them(read: Read) -> None:
    inner = (
        p("First.", properties=numbered(2))
        + p("Under it.", properties=numbered(2, 1))
        + p("Also under it.", properties=numbered(2, 1))
        + p("Second.", properties=numbered(2))
        + p("Under the second.", properties=numbered(2, 1))
        + p("A point.", properties=numbered(3))
        + p("Begun again.", properties=numbered(4))
        + p("4. Typed by hand.")
    )
    assert kinds(read(word(inner), "a.docx")) == [
        ("numbered", "1. First."),
        ("numbered", "(a) Under it."),
        ("numbered", "(b) Also under it."),
        ("numbered", "2. Second."),
        ("numbered", "(a) Under the second."),
        ("numbered", "• A point."),
        ("numbered", "1. Begun again."),
        ("numbered", "4. Typed by hand."),
    ]


def test_a_block_quote_is_told_by_its_style_or_by_its_indents(read: Read) -> None:
    inner = (
        p("Notice is due.", "Block")
        + p("So is service.", properties='<w:ind w:left="720" w:right="720"/>')
        + p("A first draft stands in on one side.", properties='<w:ind w:left="720"/>')
    )
    assert [kind for kind, _ in kinds(read(word(inner), "a.docx"))] == ["quote", "quote", "paragraph"]


def test_notes_stand_behind_the_body_in_the_order_of_their_marks(read: Read) -> None:
    reference = '</w:t></w:r><w:r><w:{0}Reference w:id="{1}"/></w:r><w:r><w:t xml:space="preserve">'
    note = '<w:{0} w:id="{1}"><w:p><w:r><w:{0}Ref/></w:r><w:r><w:t> {2}</w:t></w:r></w:p></w:{0}>'
    rule = '<w:footnote w:id="-1" w:type="separator"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
    inner = p(
        f"Held.{reference.format('footnote', 5)} Affirmed.{reference.format('footnote', 2)}"
        f"{reference.format('endnote', 1)}"
    )
    found = read(
        word(
            inner,
            footnotes=rule + note.format("footnote", 2, "Id. at 7.") + note.format("footnote", 5, BRIEF[1]),
            endnotes=note.format("endnote", 1, "The record is sealed."),
        ),
        "a.docx",
    )
    assert kinds(found) == [
        ("paragraph", "Held.¹ Affirmed.²ⁱ"),
        ("footnote", f"1 {BRIEF[1]}"),
        ("footnote", "2 Id. at 7."),
        ("footnote", "i The record is sealed."),
    ]


def test_a_table_reads_cell_by_cell(read: Read) -> None:
    cell = "<w:tc>{}</w:tc>"
    row = f"<w:tr>{cell.format(p('Exhibit'))}{cell.format(p('The lease of 2019'))}</w:tr>"
    assert kinds(read(word(f"<w:tbl>{row}</w:tbl>"), "a.docx")) == [
        ("paragraph", "Exhibit"),
        ("paragraph", "The lease of 2019"),
    ]


def test_pages_are_those_word_laid_out_and_each_block_knows_its_own(read: Read) -> None:
    turn = '</w:t><w:lastRenderedPageBreak/><w:t xml:space="preserve">'
    found = read(word(p("One.") + p(f"Two begins here{turn} and ends there.") + p("Three.")), "a.docx")
    assert found.pages == 2
    assert [block.page for block in found.layout.blocks] == [1, 1, 2]


def test_without_word_s_layout_the_writer_s_own_page_breaks_count(read: Read) -> None:
    found = read(word(p("One.") + p('</w:t><w:br w:type="page"/><w:t>Two.')), "a.docx")
    assert (found.pages, [block.page for block in found.layout.blocks]) == (2, [1, 2])


def test_too_many_pages_are_refused_in_words(read: Read) -> None:
    turn = "</w:t><w:lastRenderedPageBreak/><w:t>"
    with pytest.raises(ExtractionRefused, match="has 4 pages and one document may have 3") as refused:
        read(word(p(f"One.{turn}Two.{turn}Three.{turn}Four.")), "a.docx", Limits(pages=3))
    assert refused.value.code == "too_many_pages"


def test_tracked_changes_are_marked_and_read_as_accepted(read: Read) -> None:
    removed = change("del", "Bob", deleted("$5 million ") + deleted("at once"))
    inner = p(f"The lease costs {removed}") + p(
        f"It runs {change('ins', 'Carol', run('until May') + run(' 2027'))} and no longer."
    )
    found = read(word(inner), "a.docx")
    assert found.text == "The lease costs\n\nIt runs until May 2027 and no longer."
    assert marked(found, "deleted") == [("", "$5 million at once", "Bob")]
    assert marked(found, "inserted") == [("until May 2027", "", "Carol")]


def test_a_deleted_paragraph_mark_joins_two_paragraphs(read: Read) -> None:
    joined = '<w:rPr><w:del w:id="1" w:author="Bob"/></w:rPr>'
    found = read(word(p("The motion", properties=joined) + p("is granted.") + p("So ordered.")), "a.docx")
    assert [text for _, text in kinds(found)] == ["The motion is granted.", "So ordered."]


def test_a_paragraph_that_was_deleted_whole_is_noted_where_it_stood(read: Read) -> None:
    joined = '<w:rPr><w:del w:id="1" w:author="Bob"/></w:rPr>'
    gone = change("del", "Bob", deleted("We will lose."))
    found = read(word(p("First.") + p(gone, properties=joined) + p("Last.")), "a.docx")
    assert found.text == "First.\n\nLast."
    assert found.layout.marks == (Mark("deleted", 8, 8, 1, "We will lose.", "Bob"),)


def test_moved_words_are_read_where_they_were_moved_to(read: Read) -> None:
    inner = p(f"Here: {change('moveFrom', 'Bob', run('the remedy'))}") + p(
        f"There: {change('moveTo', 'Bob', run('the remedy'))}."
    )
    found = read(word(inner), "a.docx")
    assert found.text == "Here:\n\nThere: the remedy."
    assert marked(found, "inserted") == [("the remedy", "", "Bob")]


def test_a_former_form_is_not_taken_for_the_present_one(read: Read) -> None:
    former = '<w:pPrChange w:id="1" w:author="Bob"><w:pPr><w:pStyle w:val="H1"/></w:pPr></w:pPrChange>'
    assert kinds(read(word(p("Once a heading.", properties=former)), "a.docx")) == [
        ("paragraph", "Once a heading.")
    ]


def test_comments_are_noted_at_their_places_with_their_authors(read: Read) -> None:
    start = '</w:t></w:r><w:commentRangeStart w:id="4"/><w:r><w:t xml:space="preserve">'
    end = '</w:t></w:r><w:commentRangeEnd w:id="4"/><w:r><w:commentReference w:id="4"/></w:r><w:r><w:t>'
    comments = (
        f'<w:comment w:id="4" w:author="Dora">{p("Is this")}{p("privileged?")}</w:comment>'
        f'<w:comment w:id="9" w:author="Erin">{p("Ask the client.")}</w:comment>'
    )
    found = read(word(p(f"He said {start}so{end}."), comments=comments), "a.docx")
    assert found.text == "He said so."
    assert found.layout.marks == (
        Mark("comment", 7, 7, 1, "Is this privileged?", "Dora"),
        Mark("comment", 11, 11, 1, "Ask the client.", "Erin"),
    )


def test_hidden_words_are_in_the_text_and_marked(read: Read) -> None:
    inner = (
        f"<w:p>{run('We offer ')}{run('up to $2 million', '<w:vanish/>')}"
        f"{run(' today', '<w:rStyle w:val=' + chr(34) + 'Secret' + chr(34) + '/>')}"
        f"{run('.', '<w:vanish w:val=' + chr(34) + '0' + chr(34) + '/>')}</w:p>"
    )
    found = read(word(inner), "a.docx")
    assert found.text == "We offer up to $2 million today."
    assert marked(found, "hidden") == [("up to $2 million today", "", "")]


def test_a_mark_in_a_note_stands_in_the_note(read: Read) -> None:
    inner = p('Held.</w:t></w:r><w:r><w:footnoteReference w:id="1"/></w:r><w:r><w:t>')
    note = f'<w:footnote w:id="1">{p("See " + change("ins", "Bob", run("Twombly")))}</w:footnote>'
    found = read(word(inner, footnotes=note), "a.docx")
    assert found.text == "Held.¹\n\n1 See Twombly"
    assert marked(found, "inserted") == [("Twombly", "", "Bob")]


def test_a_mark_keeps_its_place_behind_a_number_and_odd_spaces(read: Read) -> None:
    inner = p(f"One \t two {change('ins', 'Bob', run('  three  '))} four.", properties=numbered(2))
    found = read(word(inner), "a.docx")
    assert found.text == "1. One two three four."
    assert marked(found, "inserted") == [("three", "", "Bob")]


def test_what_is_chosen_in_a_form_is_read(read: Read) -> None:
    choice = (
        '</w:t></w:r><w:r><w:fldChar><w:ffData><w:ddList><w:result w:val="1"/>'
        '<w:listEntry w:val="Honorable"/><w:listEntry w:val="General"/></w:ddList></w:ffData></w:fldChar>'
        "</w:r><w:r><w:t>"
    )
    assert read(word(p(f"Discharge: {choice}")), "a.docx").text == "Discharge: General"


def test_a_text_box_is_read_once(read: Read) -> None:
    names = 'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
    box = "<w:txbxContent>" + p("In the box.") + "</w:txbxContent>"
    inner = (
        f"<w:p><w:r><mc:AlternateContent {names}><mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r><w:r><w:t>Around it.</w:t></w:r></w:p>"
    )
    assert kinds(read(word(inner), "a.docx")) == [("paragraph", "In the box."), ("paragraph", "Around it.")]


def test_a_comment_alone_does_not_make_a_document(read: Read) -> None:
    comments = f'<w:comment w:id="4" w:author="Dora">{p("Empty so far.")}</w:comment>'
    with pytest.raises(ExtractionRefused) as refused:
        read(word("", comments=comments), "a.docx")
    assert refused.value.code == "no_text"


def test_a_style_that_is_based_on_itself_is_no_trap(read: Read) -> None:
    style = '<w:style w:type="paragraph" w:styleId="A"><w:name w:val="A"/><w:basedOn w:val="A"/></w:style>'
    data = docx(document(p("Round and round.", "A")), **{"word/styles.xml": part("styles", style)})
    assert read(data, "a.docx").text == "Round and round."
