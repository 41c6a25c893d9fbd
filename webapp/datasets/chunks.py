"""Cut a document's text into passages: whole paragraphs, never a cut citation, no word lost."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from webapp.citations import find_citations

MIN_WORDS = 80
MAX_WORDS = 220
# A heading is one short line that ends like no sentence does: "II. Analysis", "BACKGROUND".
_HEADING_WORDS = 20
_HEADINGS = 6  # in a row; more are a list
_CLOSING = "\u201d\u2019\"')]"
_CITATION_REACH = 80  # characters: no citation is longer


@dataclass(frozen=True)
class Passage:
    """Some paragraphs that belong together. `heading` opens it and may be empty; `body` is the rest."""

    heading: str
    body: str

    @property
    def text(self) -> str:
        return "\n\n".join(filter(None, (self.heading, self.body)))


def passages(text: str, *, min_words: int = MIN_WORDS, max_words: int = MAX_WORDS) -> list[Passage]:
    """`text` as passages of about `min_words` to `max_words` words, in order.

    A paragraph is cut only if it alone is over `max_words`: at a sentence's end, or between two words where a
    single sentence is that long. The passages together hold exactly the words of `text`.
    """
    done: list[list[str]] = []
    parts: list[str] = []
    for paragraph in paragraphs(text):
        for part in _cut(paragraph, max_words):
            words = _words(parts)
            if words >= min_words or words + _words([part]) > max_words:
                parts = _finish(done, parts)
            parts.append(part)
    if done and _words(parts) < min_words // 4:
        done[-1] += parts  # a signature or a stray heading is no passage of its own
    elif parts:
        done.append(parts)
    return [_passage(parts) for parts in done]


def paragraphs(text: str) -> list[str]:
    """The paragraphs of `text`, which blank lines separate, each on one line with single spaces."""
    return [" ".join(block.split()) for block in re.split(r"\n\s*\n", text) if block.strip()]


def is_heading(paragraph: str) -> bool:
    """Whether `paragraph` reads as a heading rather than as a sentence."""
    if len(paragraph.split()) > _HEADING_WORDS:
        return False
    return not paragraph.rstrip(_CLOSING).endswith((".", ",", ";", ":", "?", "!"))


def _words(parts: Sequence[str]) -> int:
    return sum(len(part.split()) for part in parts)


def _passage(parts: list[str]) -> Passage:
    opening = next((i for i, part in enumerate(parts[:_HEADINGS]) if not is_heading(part)), 0)
    return Passage(heading="\n\n".join(parts[:opening]), body="\n\n".join(parts[opening:]))


def _finish(done: list[list[str]], parts: list[str]) -> list[str]:
    """Move `parts` to `done`; give back the headings at their end, which belong to what follows."""
    end = len(parts)
    while end > max(0, len(parts) - _HEADINGS) and is_heading(parts[end - 1]):
        end -= 1
    if end:
        done.append(parts[:end])
    return parts[end:]


def _cut(paragraph: str, max_words: int) -> Iterator[str]:
    """`paragraph` whole, or in pieces of at most `max_words` words."""
    spaces = [match.start() for match in re.finditer(" ", paragraph)]
    start = done = 0
    while len(spaces) - done >= max_words:
        at = _last_cut(paragraph, spaces[done : done + max_words])
        yield paragraph[start:at]
        start = at + 1
        done = bisect.bisect_right(spaces, at)
    yield paragraph[start:]


def _last_cut(paragraph: str, spaces: Sequence[int]) -> int:
    """The best of `spaces` to cut at: a sentence's end, else not inside a citation."""
    for at in reversed(spaces[len(spaces) // 4 :]):
        if _ends_sentence(paragraph, at) and not _splits_citation(paragraph, at):
            return at
    return next((at for at in reversed(spaces) if not _splits_citation(paragraph, at)), spaces[-1])


_ABBREVIATION = re.compile(
    r"(?:\b[A-Za-z]|\b(?:v|vs|No|Nos|Inc|Co|Corp|Ltd|LLC|Mr|Mrs|Ms|Dr|Jr|Sr|St|Cir|Ct|Fed|Civ|Crim|Proc|Evid|Supp|"
    r"Ed|Art|art|App|Rev|Stat|Id|id|Cf|cf|Ex|Dist|Bd|Dept|Univ|Ass'n|Amdt|Const|cl|pp|p|n|al))\.$"
)


def _ends_sentence(paragraph: str, at: int) -> bool:
    """Whether the space at `at` stands between two sentences."""
    before, after = paragraph[max(0, at - 12) : at], paragraph[at + 1 : at + 2]
    ends = before.rstrip(_CLOSING).endswith((".", "?", "!")) and not _ABBREVIATION.search(before)
    return ends and not after.islower() and not after.isdigit()


def _splits_citation(paragraph: str, at: int) -> bool:
    """Whether a citation reaches across `at`. Looks only as far as one can reach."""
    start = max(0, at - _CITATION_REACH)
    window = paragraph[start : at + _CITATION_REACH]
    if any(citation.start < at - start < citation.end for citation in find_citations(window)):
        return True
    # A sign or a code and its number are found apart but read as one.
    return bool(re.search(r"(?:§|\bsecs?|\bv\.|\bat|C\.|USC|CFR|Proc\.|P\.|Evid\.)$", paragraph[start:at]))
