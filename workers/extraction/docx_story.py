"""A story of a Word file, as Word calls its body and its notes, read as with all changes accepted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO

from lxml import etree

from webapp.documents.layout import BlockKind
from workers.extraction.docx_numbers import Numbers, roman
from workers.extraction.docx_paragraph import OpenMark, OpenParagraph, Text
from workers.extraction.docx_styles import Properties, Styles, over
from workers.extraction.docx_xml import events, is_on, number, value
from workers.extraction.kinds import Paragraph, classify, is_numbered
from workers.extraction.lines import Flow, Line

QUOTE_INDENT = 360  # twentieths of a point, a quarter of an inch, on both sides
LONGEST_AUTHOR = 100

_SUPERSCRIPT = str.maketrans("0123456789ivxlcdm", "⁰¹²³⁴⁵⁶⁷⁸⁹ⁱᵛˣˡᶜᵈᵐ")
_PARAGRAPH = frozenset(("outlineLvl", "numId", "ilvl", "ind", "jc"))
_RUN = frozenset(("b", "caps", "vanish"))
_CHANGES = frozenset(("ins", "del", "moveTo", "moveFrom"))

Comment = tuple[str, str]  # author, words


@dataclass
class Finished:
    """A paragraph's kind and text, with its marks."""

    kind: BlockKind
    text: str
    page: int
    explicit_page: int
    level: int
    marks: list[OpenMark]


class Story:
    """Reads one part of the file: `word/document.xml`, or all footnotes, endnotes or comments."""

    def __init__(
        self,
        styles: Styles,
        numbers: Numbers,
        comments: Mapping[str, Comment],
        spend: Callable[[int], None],
    ) -> None:
        """`spend` is told how many characters were read, and refuses more than one document may have."""
        self._styles, self._numbers, self._comments, self._spend = styles, numbers, comments, spend
        self.found: dict[str, list[Finished]] = {"": []}  # by the note they belong to; the body's is ""
        self.authors: dict[str, str] = {}  # of comments
        self.notes: list[tuple[str, str, str, int]] = []  # footnote or endnote, id, mark, page
        self.rendered_pages = self.explicit_pages = 1
        self._note = ""
        self._open: list[OpenParagraph] = []  # a text box nests paragraphs inside a paragraph
        self._joined: Text | None = None
        self._runs: list[Properties] = []
        self._changes: list[tuple[str, str]] = []  # the tracked changes around this place, with their authors
        self._in_paragraph_properties = False
        self._tables = 0  # around this place: what is bold there is the head of a column
        self._anchored: set[str] = set()
        self._waiting: list[str] = []  # comments that start between paragraphs
        self._choices: list[str] = []
        self._chosen = 0
        self._counts = {"footnote": 0, "endnote": 0}

    def read(self, part: IO[bytes]) -> None:
        """Read the part to its end. Raises etree.XMLSyntaxError, and what `spend` raises."""
        for event, name, element in events(part):
            if event == "start":
                self._start(name, element)
            else:
                self._end(name, element)
        if self._joined is not None:
            self._finish(OpenParagraph(self._joined))
        last = Text()  # of comments whose place is not in the body
        for comment in self._comments:
            self._comment(comment, last)
        self._finish(OpenParagraph(last))

    def _start(self, name: str, element: etree._Element) -> None:
        if name == "p":
            text, self._joined = (
                (self._joined, None) if self._joined and not self._open else (None, self._joined)
            )
            self._open.append(OpenParagraph(text or Text()))
            for comment in self._waiting:
                self._comment(comment, self._open[-1].text)
            self._waiting.clear()
        elif name == "pPr":
            self._in_paragraph_properties = True
        elif name == "tbl":
            self._tables += 1
        elif name == "r":
            self._runs.append(Properties())
        elif name in _CHANGES:
            self._changes.append((name, (value(element, "author") or "")[:LONGEST_AUTHOR]))
            if self._in_paragraph_properties and name in ("del", "moveFrom") and self._open:
                self._open[-1].is_joined = True
        elif name in ("footnote", "endnote", "comment"):
            self._note = value(element, "id") or ""
            # Those with a type are the rules between text and notes.
            self._note = "" if value(element, "type") not in (None, "normal") else self._note
            self.authors[self._note] = (value(element, "author") or "")[:LONGEST_AUTHOR]
        elif name == "commentRangeStart":
            comment = value(element, "id") or ""
            if self._open:
                self._comment(comment, self._open[-1].text)
            else:
                self._waiting.append(comment)
        elif self._open:
            self._property(name, element, self._open[-1])

    def _property(self, name: str, element: etree._Element, paragraph: OpenParagraph) -> None:
        if self._in_paragraph_properties:
            if name in _PARAGRAPH:
                paragraph.properties.take(name, element)
            elif name == "pStyle":
                paragraph.style = value(element)
            elif name == "pageBreakBefore" and is_on(element):
                self.explicit_pages += 1
        elif self._runs:
            if name in _RUN:
                self._runs[-1].take(name, element)
            elif name == "rStyle":
                self._runs[-1] = over(self._runs[-1], self._styles.of(value(element)))

    def _end(self, name: str, element: etree._Element) -> None:
        if name == "p" and self._open:
            paragraph = self._open.pop()
            if paragraph.is_joined and not self._open:
                paragraph.text.add(" ", 0)
                self._joined = paragraph.text
            else:
                self._finish(paragraph)
        elif name == "pPr":
            self._in_paragraph_properties = False
        elif name == "tbl":
            self._tables -= 1
        elif name == "r" and self._runs:
            self._runs.pop()
        elif name in _CHANGES and self._changes:
            self._changes.pop()
        elif name in ("footnote", "endnote", "comment"):
            self._note = ""
        elif self._open:
            self._content(name, element, self._open[-1])

    def _content(self, name: str, element: etree._Element, paragraph: OpenParagraph) -> None:
        if name in ("t", "delText"):
            self._words(element.text or "", paragraph, deleted=name == "delText")
        elif name in ("tab", "br", "cr") and not self._in_paragraph_properties:
            self.explicit_pages += name == "br" and value(element, "type") == "page"
            self._words(" ", paragraph)
        elif name == "noBreakHyphen":
            self._words("-", paragraph)
        elif name == "lastRenderedPageBreak":
            self.rendered_pages += 1
        elif name in ("footnoteReference", "endnoteReference"):
            self._reference(name.removesuffix("Reference"), element, paragraph)
        elif name == "commentReference":
            self._comment(value(element, "id") or "", paragraph.text)
        elif name == "listEntry":
            self._choices.append(value(element) or "")
        elif name == "result":
            self._chosen = number(value(element)) or 0
        elif name == "ddList":  # what is chosen in a form stands nowhere else
            if 0 <= self._chosen < len(self._choices):
                self._words(self._choices[self._chosen], paragraph)
            self._choices, self._chosen = [], 0

    def _words(self, words: str, paragraph: OpenParagraph, *, deleted: bool = False) -> None:
        self._spend(len(words))
        page, text = self.rendered_pages, paragraph.text
        changes = dict(self._changes) if self._changes else {}
        if "moveFrom" in changes:  # they stand where they were moved to
            return
        if deleted or "del" in changes:
            text.note("deleted", words, page, changes.get("del", ""))
            return
        start, end = text.add(words, page)
        if start == end:
            return
        run, style = self._runs[-1] if self._runs else Properties(), self._styles.of(paragraph.style)
        text.is_plain = text.is_plain or not (style.strong if run.strong is None else run.strong)
        if style.hidden if run.hidden is None else run.hidden:
            text.mark("hidden", start, end, page, "")
        for name in ("ins", "moveTo"):
            if name in changes:
                text.mark("inserted", start, end, page, changes[name])

    def _reference(self, kind: str, element: etree._Element, paragraph: OpenParagraph) -> None:
        if {"del", "moveFrom"} & dict(self._changes).keys():
            return
        mark = "*"  # the writer's own, which follows as text
        if value(element, "customMarkFollows") not in ("1", "true", "on"):
            self._counts[kind] += 1
            count = self._counts[kind]
            # Word's own choice: footnotes in digits, endnotes in small Roman numerals.
            mark = str(count) if kind == "footnote" or count > 3999 else roman(count)
            self._words(mark.translate(_SUPERSCRIPT), paragraph)
        self.notes.append((kind, value(element, "id") or "", mark, self.rendered_pages))

    def _comment(self, comment: str, text: Text) -> None:
        if comment in self._comments and comment not in self._anchored:
            self._anchored.add(comment)
            author, words = self._comments[comment]
            text.note("comment", words, self.rendered_pages, author)

    def _finish(self, paragraph: OpenParagraph) -> None:
        properties = over(paragraph.properties, self._styles.of(paragraph.style))
        text, label = str(paragraph.text), ""
        if properties.list_id not in (None, "0"):
            label = self._numbers.next(properties.list_id or "", properties.list_level or 0)
        if not text and not paragraph.text.marks:
            return
        strong = not (paragraph.text.is_plain or self._tables)
        kind, level = _kind(properties, strong, text, label)
        if label and text:
            shift = len(label) + 1
            text = f"{label} {text}"
            for mark in paragraph.text.marks:
                mark.start += shift
                mark.end += shift
        page = paragraph.text.page or self.rendered_pages
        done = Finished(kind, text, page, self.explicit_pages, level, paragraph.text.marks)
        self.found.setdefault(self._note, []).append(done)


def _kind(properties: Properties, strong: bool, text: str, label: str) -> tuple[BlockKind, int]:
    """By style and numbering, as the writer meant it; else by the looks, as in every other format."""
    if properties.heading:
        return BlockKind.HEADING, properties.heading
    if properties.quote:
        return BlockKind.QUOTE, 0
    shown = f"{label} {text}" if label else text
    if text and label != "•" and (strong or properties.centred):
        line = Line(shown, 0, 0, 0, 1, bold=strong)
        seen = Paragraph([line], Flow([line]), centred=bool(properties.centred), text=shown)
        kind, level = classify(seen, 1)
        if kind == BlockKind.HEADING:
            return kind, level
    if label or is_numbered(text):
        return BlockKind.NUMBERED, 0
    if (properties.left or 0) >= QUOTE_INDENT and (properties.right or 0) >= QUOTE_INDENT:
        return BlockKind.QUOTE, 0
    return BlockKind.PARAGRAPH, 0
