"""Five hundred damaged files of every format: each is read as words or refused in a sentence."""

from __future__ import annotations

import io
import json
import random
import re
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.extraction.files import BRIEF, docx, mail, numbered, p, packed, pdf, word, wordperfect, workbook
from tests.extraction.test_office import SAMPLES, needs_office
from tests.extraction.test_refusals import is_one_sentence
from workers.extraction import Extracted, ExtractionRefused, Limits
from workers.extraction.sandbox import extract_in_child

PLAIN = "\n\n".join(BRIEF * 5)
PAIR = json.dumps({"prompt": BRIEF[0], "completion": BRIEF[1]}) + "\n"
NOTE = '<w:footnote w:id="2"><w:p><w:r><w:t>See the record.</w:t></w:r></w:p></w:footnote>'
COMMENT = f'<w:comment w:id="4" w:author="Dora">{p("Is this privileged?")}</w:comment>'
WORD = word(
    p("Argument", "H1")
    + p(BRIEF[0] + '</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t>', properties=numbered(2))
    + f'<w:p><w:ins w:author="Bob"><w:r><w:t>{BRIEF[1]}</w:t></w:r></w:ins></w:p>'
    + "".join(map(p, BRIEF * 3)),
    footnotes=NOTE,
    comments=COMMENT,
)
FILES = {
    "a.pdf": pdf([BRIEF * 3, BRIEF * 3]),
    "a.docx": WORD,
    "a.txt": PLAIN.encode(),
    "a.html": f"<html><body><h1>Argument</h1><p>{BRIEF[0]}</p><ul><li>{BRIEF[1]}</ul></body></html>".encode(),
    "a.md": f"# Argument\n\n> {BRIEF[0]}\n\n1. {BRIEF[1]}[^1]\n\n[^1]: {BRIEF[1]}\n".encode(),
    "a.eml": mail(PLAIN, f"<p>{BRIEF[0]}</p>", [("lease.docx", docx())]),
    "a.zip": packed({"a.txt": PLAIN.encode(), "b.docx": docx(), "c/d.pdf": pdf()}),
    "a.jsonl": (PAIR * 5).encode(),
    "a.csv": ("Question,Answer\n" + f'"{BRIEF[0]}","{BRIEF[1]}"\n' * 5).encode(),
    "a.xlsx": workbook([["Question", "Answer"], *[BRIEF] * 5]),
}
OFFICE = {
    "a.doc": (SAMPLES / "brief.doc").read_bytes(),
    "a.rtf": (SAMPLES / "brief.rtf").read_bytes(),
    "a.odt": (SAMPLES / "brief.odt").read_bytes(),
    "a.wpd": wordperfect(PLAIN),
}
MUTATIONS = 48  # of each of FILES, and
CONVERSIONS = 5  # of each of OFFICE: five hundred in all
QUICK = Limits(cpu_seconds=10)
READABLE = 0.95  # of the characters
_PRINTED = re.compile(r"[ -~\s“”‘’—–•§°-ɏ⁰-ⁿ]")


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)


def cut(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.randint(1, len(data) // 4 + 1)]


def repeat(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.randint(1, 200)] * dice.randint(1, 5)


def inflate_numbers(data: bytearray, dice: random.Random) -> None:
    digits = [at for at, byte in enumerate(data) if chr(byte).isdigit()]
    for at in dice.sample(digits, min(len(digits), 8)):
        data[at] = ord("9")


DAMAGE: list[Callable[[bytearray, random.Random], None]] = [flip, cut, repeat, inflate_numbers]


def damaged(data: bytes, dice: random.Random) -> bytes:
    """The file with one damage; of an archive, half of the time, with one member damaged and packed again:
    a wrong checksum would else hide every damage inside."""
    if data.startswith(b"PK") and dice.random() < 0.5:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = dice.choice([name for name, content in members.items() if content])
        return packed({**members, name: damaged(members[name], dice)})
    mutable = bytearray(data)
    dice.choice(DAMAGE)(mutable, dice)
    return bytes(mutable)


def words_of(found: Extracted) -> str:
    said = [found.text]
    said += [f"{pair.prompt} {pair.completion}" for pair in found.pairs]
    if found.table:
        said += [" ".join(row) for row in found.table.rows]
    return " ".join(said)


def is_readable(text: str) -> bool:
    """Whether nearly all of it is what is printed in English, with no signs for the unknown."""
    return len(_PRINTED.findall(text)) >= READABLE * len(text)


def read_or_refused(name: str, data: bytes, path: Path) -> bool:
    """Whether the file was read; either way as it should be."""
    path.write_bytes(data)
    try:
        found = extract_in_child(path, name, QUICK)
    except ExtractionRefused as refused:
        is_one_sentence(refused.message)
        return False
    finally:
        path.unlink()
    assert found.pages >= 1
    assert found.layout.text or found.members or found.pairs or found.table
    assert is_readable(words_of(found)), f"{name}: {words_of(found)[:300]!r}"
    return True


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    def read(seed: int) -> bool:
        data = damaged(FILES[name], random.Random(f"{name} {seed}"))
        return read_or_refused(name, data, tmp_path / str(seed))

    assert read_or_refused(name, FILES[name], tmp_path / "whole")
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(read, range(MUTATIONS)))
    assert False in results or name in ("a.txt", "a.html", "a.md"), "nothing was damaged"


@pytest.mark.slow
@needs_office
@pytest.mark.parametrize("name", OFFICE)
def test_a_damaged_file_of_another_program_is_read_or_refused_in_one_sentence(
    name: str, tmp_path: Path
) -> None:
    assert read_or_refused(name, OFFICE[name], tmp_path / "whole")
    for seed in range(CONVERSIONS):
        read_or_refused(name, damaged(OFFICE[name], random.Random(f"{name} {seed}")), tmp_path / str(seed))
