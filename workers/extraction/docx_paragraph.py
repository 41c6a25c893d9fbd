"""A paragraph of a Word file while it is read: its words, and what is marked in them."""

from __future__ import annotations

from dataclasses import dataclass, field

from webapp.documents.layout import Mark
from workers.extraction.cleanup import readable
from workers.extraction.docx_styles import Properties


@dataclass
class OpenMark:
    """A `layout.Mark` that may still grow; its places are characters in the paragraph's text."""

    kind: str
    start: int
    end: int
    page: int
    author: str = ""
    note: list[str] = field(default_factory=list)

    def closed(self, at: int) -> Mark:
        """For good, in a text in which the paragraph starts at `at`."""
        note = readable("".join(self.note))
        return Mark(self.kind, at + self.start, at + self.end, self.page, note, self.author)


class Text:
    """Words put together piece by piece, with single spaces, so that a mark's place in them stays true."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._space = False
        self.marks: list[OpenMark] = []
        self.page = 0  # of its first word
        self.is_plain = False  # whether any word is neither bold nor in capitals

    def __str__(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str, page: int) -> tuple[int, int]:
        """Add the words of `piece`; returns where they stand: the same place twice when there are none."""
        # A soft hyphen is where a word may be broken, and here none is. The two signs keep the outer spaces.
        words = readable(f"({piece.replace(chr(0xAD), '')})")[1:-1]
        if not words.strip():
            self._space = self._space or bool(words)
            return self._size, self._size
        if self._size and (self._space or words[0] == " "):
            self._pieces.append(" ")
            self._size += 1
        self._space = words[-1] == " "
        start, words = self._size, words.strip()
        self._pieces.append(words)
        self._size += len(words)
        self.page = self.page or page
        return start, self._size

    def mark(self, kind: str, start: int, end: int, page: int, author: str) -> None:
        """Mark these words, as one with those right before them that are marked alike."""
        for last in reversed(self.marks[-4:]):
            if (last.kind, last.author) == (kind, author) and start - last.end <= 1:
                last.end = end
                return
        self.marks.append(OpenMark(kind, start, end, page, author))

    def note(self, kind: str, words: str, page: int, author: str) -> None:
        """Note what is not in the text, at the place reached; deleted words one after the other are one."""
        at = self._size
        last = self.marks[-1] if self.marks else None
        if kind == "deleted" and last and (last.kind, last.author, last.start) == (kind, author, at):
            last.note.append(words)
        else:
            self.marks.append(OpenMark(kind, at, at, page, author, [words]))


@dataclass
class OpenParagraph:
    """A `w:p` whose end has not come yet."""

    text: Text
    properties: Properties = field(default_factory=Properties)
    style: str | None = None
    is_joined: bool = False  # its mark is deleted: accepted, the next paragraph goes on in it
