"""Damaged files are read or refused in a sentence: nothing else ever comes out."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.extraction.files import BRIEF, docx, pdf
from tests.extraction.test_refusals import is_one_sentence
from workers.extraction import ExtractionRefused
from workers.extraction.sandbox import extract_in_child

FILES = {"a.pdf": pdf([BRIEF, BRIEF]), "a.docx": docx(), "a.txt": "\n\n".join(BRIEF).encode()}
MUTATIONS = 50


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)


def cut(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    del data[at : at + dice.randint(1, len(data) // 4)]


def repeat(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data))
    data[at:at] = data[at : at + dice.randint(1, 200)] * dice.randint(1, 5)


def inflate_numbers(data: bytearray, dice: random.Random) -> None:
    digits = [at for at, byte in enumerate(data) if chr(byte).isdigit()]
    for at in dice.sample(digits, min(len(digits), 8)):
        data[at] = ord("9")


DAMAGE: list[Callable[[bytearray, random.Random], None]] = [flip, cut, repeat, inflate_numbers]


def test_a_damaged_file_is_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    def read(seed: int) -> None:
        dice = random.Random(seed)
        name = dice.choice(list(FILES))
        data = bytearray(FILES[name])
        dice.choice(DAMAGE)(data, dice)
        path = tmp_path / str(seed)
        path.write_bytes(data)
        try:
            assert extract_in_child(path, name).pages >= 1
        except ExtractionRefused as refused:
            is_one_sentence(refused.message)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(read, range(MUTATIONS)))
