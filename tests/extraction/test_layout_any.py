"""Whatever stands on pages, and wherever, a layout comes out, and what is no head or stamp is in it."""

from __future__ import annotations

import re
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from workers.extraction.cleanup import to_layout
from workers.extraction.lines import Line, Page
from workers.extraction.txt import read_txt

WORDS = ["The", "court", "held", "1", "2.", "(a)", "I.", "II", "—", "______", ")", "•", "hear-", "ing"]
TEXTS = st.lists(st.sampled_from([*WORDS, "v.", "³", "¹See"]), min_size=1, max_size=12).map(" ".join)


@st.composite
def lines(draw: st.DrawFn, page: int) -> Line:
    left = draw(st.sampled_from([72, 90, 108, 300, 330, 520]))
    text = draw(TEXTS)
    size = draw(st.sampled_from([8, 10, 12, 16]))
    base = draw(st.integers(20, 780))
    line = Line(text, left, left + len(text) * size / 2, base, size, bold=draw(st.booleans()), page=page)
    line.underlined = draw(st.booleans())
    return line


@st.composite
def pages(draw: st.DrawFn) -> list[Page]:
    found = []
    for number in range(1, draw(st.integers(1, 4)) + 1):
        rules = draw(st.lists(st.tuples(st.just(72.0), st.just(216.0), st.floats(20, 780)), max_size=3))
        found.append(Page(number, draw(st.lists(lines(number), max_size=30)), 792, 612, rules))
    return found


@settings(max_examples=200, deadline=None)
@given(pages())
def test_any_lines_anywhere_make_a_layout(given_pages: list[Page]) -> None:
    layout = to_layout(given_pages)
    kinds = [block.kind for block in layout.blocks]
    assert kinds == sorted(kinds, key=lambda kind: kind == "footnote")
    assert all(block.text.strip() and 1 <= block.page <= len(given_pages) for block in layout.blocks)
    assert not letters(layout.text) - letters(
        "".join(line.text for page in given_pages for line in page.lines)
    )


def letters(text: str) -> Counter[str]:
    return Counter(re.findall("[A-Za-z]", text))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), TEXTS, st.integers(0, 2)), min_size=1, max_size=40))
def test_a_page_of_plain_text_keeps_every_letter(rows: list[tuple[int, str, int]]) -> None:
    text = "".join(" " * indent + words + "\n" * (1 + blank) for indent, words, blank in rows)
    assert letters(read_txt(text.encode()).text) == letters(text)
