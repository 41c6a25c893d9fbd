"""Word files: a ZIP checked before anything is unpacked, and its parts read as streams."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from lxml import etree

from webapp.documents.layout import SEPARATOR, Block, BlockKind, Layout, Mark
from workers.extraction import packed
from workers.extraction.docx_numbers import Numbers
from workers.extraction.docx_paragraph import OpenMark
from workers.extraction.docx_story import Comment, Finished, Story
from workers.extraction.docx_styles import Styles
from workers.extraction.result import Extracted, ExtractionRefused, Limits, too_long
from workers.extraction.sniff import locked


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
    """The text of a Word file as it reads with all changes accepted, its notes behind its body.

    Marked are tracked deletions and insertions, comments, and hidden text; the hidden words are in the text,
    so that a person sees and redacts them. Raises ExtractionRefused: encrypted, corrupt, too_complex,
    too_large, too_many_pages.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed.check(archive, limits, _bomb)
            return _Document(archive, limits).read()
    except (*packed.DAMAGE, etree.XMLSyntaxError):
        raise _corrupt() from None


class _Document:
    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._left = limits.text_bytes

    def read(self) -> Extracted:
        with self._part("styles") as part:
            styles = Styles(part)
        with self._part("numbering") as part:
            numbers = Numbers(part)
        with self._part("document") as part:
            if part is None:
                raise _corrupt()
            body = Story(styles, numbers, self._comments(styles), self._spend)
            body.read(part)
        is_rendered = body.rendered_pages > 1
        pages = body.rendered_pages if is_rendered else body.explicit_pages
        if pages > self._limits.pages:
            raise ExtractionRefused(
                "too_many_pages",
                f"This file has {pages} pages and one document may have {self._limits.pages}; split it into "
                "parts.",
            )
        blocks = [
            (_block(one, one.page if is_rendered else one.explicit_page), one.marks) for one in body.found[""]
        ]
        return Extracted("docx", pages, _layout([*blocks, *self._notes(body, styles)]))

    def _comments(self, styles: Styles) -> dict[str, Comment]:
        with self._part("comments") as part:
            if part is None:
                return {}
            story = Story(styles, Numbers(), {}, self._spend)
            story.read(part)
        return {
            comment: (story.authors.get(comment, ""), " ".join(one.text for one in found if one.text))
            for comment, found in story.found.items()
            if comment
        }

    def _notes(self, body: Story, styles: Styles) -> Iterator[tuple[Block, list[OpenMark]]]:
        """The notes in the order of their marks, each one block."""
        for kind in ("footnote", "endnote"):
            wanted = [note for note in body.notes if note[0] == kind]
            if not wanted:
                continue
            with self._part(f"{kind}s") as part:
                if part is None:
                    continue
                story = Story(styles, Numbers(), {}, self._spend)
                story.read(part)
            for _, note_id, mark, page in wanted:
                found = [one for one in story.found.pop(note_id, []) if one.text or one.marks]
                if found:
                    yield _note(mark, page, found)

    @contextmanager
    def _part(self, name: str) -> Iterator[IO[bytes] | None]:
        """A part of the file as a stream. Word on the web numbers some: `word/document2.xml`."""
        wanted = re.compile(rf"word/{name}\d{{0,2}}\.xml")
        members = [member for member in self._archive.infolist() if wanted.fullmatch(member.filename)]
        if not members:
            yield None
            return
        if len(members) > 1:
            raise _corrupt()
        if members[0].flag_bits & 0x1:
            raise locked("This Word file")
        with self._archive.open(members[0]) as part:
            yield part

    def _spend(self, characters: int) -> None:
        self._left -= characters
        if self._left < 0:
            raise too_long()


def _block(one: Finished, page: int) -> Block:
    return Block(one.kind, one.text, page, one.level)


def _note(mark: str, page: int, found: list[Finished]) -> tuple[Block, list[OpenMark]]:
    text, marks = mark, []
    for one in found:
        if one.text:
            text += " "
        for each in one.marks:
            each.start += len(text)
            each.end += len(text)
            each.page = page
        marks += one.marks
        text += one.text
    return Block(BlockKind.FOOTNOTE, text, page), marks


def _layout(found: list[tuple[Block, list[OpenMark]]]) -> Layout:
    """All blocks with words, and the marks at their places in the whole text."""
    blocks: list[Block] = []
    marks: list[Mark] = []
    at = 0
    for block, open_marks in found:
        # What was deleted or noted in a paragraph that is now empty stands where the next one starts.
        marks += [mark.closed(at) for mark in open_marks]
        if block.text:
            blocks.append(block)
            at += len(block.text) + len(SEPARATOR)
    size = max(0, at - len(SEPARATOR))
    marks = [mark for mark in marks if mark.note or mark.end > mark.start]
    marks = [mark if mark.end <= size else replace(mark, start=size, end=size) for mark in marks]
    return Layout(tuple(blocks), tuple(marks))
