"""What comes out of reading a document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from webapp.documents.layout import Layout
from webapp.documents.pairs import Pair, Table


@dataclass(frozen=True)
class Member:
    """A file that lay inside another: in an archive, or attached to an e-mail."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Extracted:
    """What a file holds. `kind` is its format (see `formats.KINDS`); `pages` is at least 1.

    Running text is in `layout`; ready-made training data in `pairs`, or in `table` while a person has yet to
    say which columns are which; files inside it in `members`. `ocr_confidence` is 0 to 1, for a scan.
    """

    kind: str
    pages: int = 1
    layout: Layout = field(default_factory=lambda: Layout(()))
    members: tuple[Member, ...] = ()
    table: Table | None = None
    pairs: tuple[Pair, ...] = ()
    ocr_confidence: float | None = None

    @property
    def text(self) -> str:
        return self.layout.text

    def as_json(self) -> dict[str, Any]:
        """What the reading child says of it; the bytes of `members` go beside, in their order."""
        return {
            "kind": self.kind,
            "pages": self.pages,
            "layout": {
                "blocks": [vars(block) for block in self.layout.blocks],
                "marks": [vars(mark) for mark in self.layout.marks],
            },
            "members": [member.name for member in self.members],
            "table": vars(self.table) if self.table else None,
            "pairs": [vars(pair) for pair in self.pairs],
            "ocr_confidence": self.ocr_confidence,
        }

    @classmethod
    def from_json(cls, said: dict[str, Any], files: Sequence[bytes] = ()) -> Extracted:
        table = said["table"]
        return cls(
            kind=said["kind"],
            pages=said["pages"],
            layout=Layout.of(said["layout"]),
            members=tuple(map(Member, said["members"], files)),
            table=Table.of(table) if table else None,
            pairs=tuple(map(Pair.of, said["pairs"])),
            ocr_confidence=said["ocr_confidence"],
        )


class NeedsConversion(Exception):
    """A file that another program has to turn into DOCX first. `kind` is one of `formats.CONVERTED`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class NeedsOcr(Exception):
    """A PDF of which `pages` pages are pictures: reading them takes longer than `Limits` allow for a file."""

    def __init__(self, pages: int) -> None:
        super().__init__(pages)
        self.pages = pages


class ExtractionRefused(Exception):
    """A document that cannot be used. `message` is one sentence for the person who uploaded it.

    `code` is one of: empty, encrypted, corrupt, wrong_type, no_text, unreadable, unsupported, too_large,
    too_many_pages, too_complex, bad_data, no_converter.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Limits:
    """What one document may cost. An honest 500-page brief needs a tenth of each."""

    file_bytes: int = 50 * 2**20
    pages: int = 2000
    unpacked_bytes: int = 100 * 2**20  # of a page's content stream, of a Word file's or an archive's contents
    text_bytes: int = 8 * 2**20
    data_bytes: int = 64 * 2**20  # of ready-made pairs and of tables
    rows: int = 200_000  # pairs of a file, rows of a table
    members: int = 1000  # files in an archive or attached to an e-mail
    depth: int = 1  # archives that an archive may lie in
    output_bytes: int = 200 * 2**20  # that the reading process may answer
    memory_bytes: int = 2**30  # address space of the reading process
    cpu_seconds: int = 30
    wall_seconds: int = 120  # on a busy machine, a few times the CPU seconds
    tesseract: str = ""  # the program that reads pages which are pictures, if it is installed
    ocr_pages: int = 0  # that it may read


def too_long() -> ExtractionRefused:
    """More text than `Limits.text_bytes`. Made anew each time: an exception remembers where it was raised."""
    return ExtractionRefused(
        "too_large", "This file holds more text than one document may; split it into smaller files."
    )
