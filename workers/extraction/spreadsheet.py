"""Tables of ready-made pairs: CSV, and the first sheet of an Excel workbook."""

from __future__ import annotations

import csv
import datetime
import io
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from webapp.documents.pairs import Table
from workers.extraction import packed
from workers.extraction.result import Extracted, ExtractionRefused, Limits
from workers.extraction.txt import decode

MAX_COLUMNS = 100
LONGEST_NAME = 60  # characters; a longer first row holds data
SAMPLE_ROWS = 20
DELIMITERS = (",", ";", "\t", "|")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # databases refuse them


def read_csv(data: bytes, limits: Limits) -> Extracted:
    """The table of a CSV file, whatever separates its columns. Raises ExtractionRefused: bad_data, too_large,
    no_text, wrong_type."""
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    given = re.match(r"sep=(.)\n", text)  # Excel's own way to say it
    if given:
        text = text[given.end() :]
    csv.field_size_limit(limits.data_bytes)
    delimiter = given[1] if given else _delimiter(text)
    try:
        return Extracted("csv", table=_table(_reader(text, delimiter), limits))
    except csv.Error:
        raise ExtractionRefused(
            "bad_data", "The columns of this table cannot be told apart; save it as an Excel file (.xlsx)."
        ) from None


def read_xlsx(data: bytes, limits: Limits) -> Extracted:
    """The first visible sheet of a workbook, formulas as the values that Excel last saw.

    Raises ExtractionRefused: corrupt, too_complex, too_large, no_text.
    """
    import openpyxl

    corrupt = ExtractionRefused(
        "corrupt", "This Excel file is damaged; open it in Excel, save it as a new workbook and upload that."
    )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            packed.check(archive, limits, _bomb)
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
        if not sheets:
            raise corrupt
        sheet = sheets[0]
        sheet.reset_dimensions()  # what the file claims them to be is no reason to make so many cells
        rows = sheet.iter_rows(max_col=MAX_COLUMNS + 1, values_only=True)
        return Extracted("xlsx", table=_table((list(map(_shown, row)) for row in rows), limits))
    except (ExtractionRefused, MemoryError):
        raise
    except Exception:
        # openpyxl lets whatever a damaged part trips over pass: KeyError, TypeError, ParseError and more.
        raise corrupt from None


def _delimiter(text: str) -> str:
    """What gives the first rows the same number of columns, and most. csv.Sniffer guesses by the characters'
    frequency, and takes a letter for it where cells hold prose."""

    def score(delimiter: str) -> tuple[int, int]:
        try:
            rows = _reader(text[: 2**16], delimiter)
            widths = Counter(len(row) for row, _ in zip(rows, range(SAMPLE_ROWS), strict=False) if any(row))
        except csv.Error:
            return 0, 0
        width, times = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]), default=(0, 0))
        return (times, width) if width > 1 else (0, 0)

    return max(DELIMITERS, key=score)


def _reader(text: str, delimiter: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)


def _table(rows: Iterable[list[str]], limits: Limits) -> Table:
    kept: list[list[str]] = []
    size = 0
    for row in rows:
        cells = [_UNSTORABLE.sub("", cell).strip() for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        kept.append(cells)
        size += sum(map(len, cells)) + len(cells)
        if len(cells) > MAX_COLUMNS:
            raise ExtractionRefused(
                "too_large", f"This table has more than {MAX_COLUMNS} columns; keep those with the examples."
            )
        if len(kept) > limits.rows or size > limits.data_bytes:
            raise ExtractionRefused(
                "too_large", "This table is larger than one may be; split it into smaller files."
            )
    if not any(character.isalpha() for cells in kept for cell in cells for character in cell):
        raise ExtractionRefused(
            "no_text", "This table holds no words; upload one with prompts and completions."
        )
    width = max(map(len, kept))
    names = _header(kept[0], width)
    if names:
        del kept[0]
    columns = [name or f"Column {at}" for at, name in enumerate(names or [""] * width, 1)]
    return Table(tuple(columns), tuple(tuple(cells + [""] * (width - len(cells))) for cells in kept))


def _header(first: list[str], width: int) -> list[str]:
    """The names of the columns, if the first row reads like names: short, different, none a number."""
    named = [cell for cell in first if cell]
    if len(set(named)) < len(named) or any(len(cell) > LONGEST_NAME or _is_number(cell) for cell in named):
        return []
    return first + [""] * (width - len(first))


def _is_number(cell: str) -> bool:
    return not any(character.isalpha() for character in cell)


def _shown(value: Any) -> str:
    """A cell as Excel would show it, more or less."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _bomb() -> ExtractionRefused:
    return ExtractionRefused(
        "too_complex",
        "This Excel file unpacks to far more than a table holds; save it as CSV or split it.",
    )
