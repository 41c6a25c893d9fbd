"""Cut a document into passages: whole paragraphs; no citation, sentence or quotation cut, no word lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from webapp.citations import Citation, find_citations
from webapp.datasets.paragraphs import with_headings
from webapp.datasets.sentences import cuttable
from webapp.documents.layout import SEPARATOR, Block, BlockKind

CountTokens = Callable[[str], int]

# A thousand-page treatise cites as often. What a longer or hostile text cites after that is not looked for
# (minutes at most instead of hours): its passages are cut at sentences all the same, but teach no citations.
MAX_CITATIONS = 10_000
_HEADING_WORDS = 60  # of a "heading" that is longer, the words are the text's own


@dataclass(frozen=True)
class Part:
    """A paragraph, or a piece of one that was too long. `opens` says whether it begins its paragraph."""

    kind: BlockKind
    text: str
    tokens: int
    citations: tuple[Citation, ...] = ()
    read: bool = True  # whether its citations were looked for
    opens: bool = True


@dataclass(frozen=True)
class Passage:
    """Some paragraphs that belong together.

    `path` holds the headings in force where it begins, the outermost first; `headings` those that stand right
    before it, between the passage before and its own `parts`. A part can be a heading too, where a section is
    too short to be a passage of its own.
    """

    path: tuple[str, ...]
    headings: tuple[str, ...]
    parts: tuple[Part, ...]
    tokens: int  # of `body`

    @property
    def heading(self) -> str:
        return SEPARATOR.join(self.headings)

    @property
    def body(self) -> str:
        return SEPARATOR.join(part.text for part in self.parts)

    @property
    def text(self) -> str:
        return SEPARATOR.join(filter(None, (self.heading, self.body)))

    @property
    def words(self) -> int:
        return sum(len(part.text.split()) for part in self.parts)

    @property
    def read(self) -> bool:
        """Whether all of its citations are known."""
        return all(part.read for part in self.parts)

    @property
    def citations(self) -> list[Citation]:
        """The citations of `body`, in order."""
        found, at = [], 0
        for part in self.parts:
            found += [citation.moved(at) for citation in part.citations]
            at += len(part.text) + len(SEPARATOR)
        return found


def passages(blocks: Sequence[Block], *, max_tokens: int, count_tokens: CountTokens) -> list[Passage]:
    """`blocks` as passages, in order, of a third of `max_tokens` or more where the text allows it.

    A body is at most `max_tokens` long (its paragraphs or sentences counted one by one, which differs by a
    token or two from counting them together), but for two exceptions: a sentence and a quotation (a block
    quote, or one within a paragraph) that are longer stay whole and are passages of their own. Footnotes
    are left out; the passages together hold exactly the words of the other blocks. Calls `count_tokens`
    once per paragraph, and once more per sentence of a paragraph that is too long; reads citations once.
    """
    packer = _Packer(max_tokens, _between(count_tokens))
    left = MAX_CITATIONS
    for block in with_headings(blocks):
        if block.kind == BlockKind.FOOTNOTE or not block.text.strip():
            continue
        if block.kind == BlockKind.HEADING and len(block.text.split()) <= _HEADING_WORDS:
            packer.add_heading(Part(block.kind, block.text, count_tokens(block.text)), block.level)
            continue
        citations = find_citations(block.text, limit=left + 1) if left else []
        read = 0 < left >= len(citations)
        left = max(0, left - len(citations))
        for part in _parts(block, citations, max_tokens, count_tokens):
            packer.add(part if read else _unread(part))
    return packer.done()


def _unread(part: Part) -> Part:
    return Part(part.kind, part.text, part.tokens, read=False, opens=part.opens)


def _parts(
    block: Block, citations: Sequence[Citation], max_tokens: int, count_tokens: CountTokens
) -> Iterator[Part]:
    """`block` whole, or in pieces of about the same length, each at most `max_tokens` long if it can be."""
    text, tokens = block.text, count_tokens(block.text)
    if tokens <= max_tokens or block.kind == BlockKind.QUOTE:
        yield Part(block.kind, text, tokens, tuple(citations))
        return
    edges = [0, *cuttable(text, citations), len(text)]
    # The blank between two sentences is the second one's, as tokenisers have it.
    lengths = [count_tokens(" " * bool(start) + text[start:end].strip()) for start, end in pairwise(edges)]
    wanted = sum(lengths) / -(-sum(lengths) // max_tokens)
    waiting = list(reversed(citations))
    start = size = 0
    for place, length in enumerate(lengths):
        if size and (size + length > max_tokens or size >= wanted):
            yield _piece(block, start, edges[place], size, waiting)
            start, size = edges[place], 0
        size += length
    yield _piece(block, start, len(text), size, waiting)


def _between(count_tokens: CountTokens) -> int:
    """What a blank line between two paragraphs adds: often more than it counts alone."""
    return max(count_tokens(SEPARATOR), count_tokens(f"a{SEPARATOR}a") - 2 * count_tokens("a"))


def _piece(block: Block, start: int, end: int, tokens: int, waiting: list[Citation]) -> Part:
    """`block.text[start:end]` without blanks at its ends; takes its citations off the end of `waiting`."""
    piece = block.text[start:end]
    blanks = len(piece) - len(piece.lstrip())
    own = []
    while waiting and waiting[-1].start < end:
        own.append(waiting.pop().moved(-start - blanks))
    return Part(block.kind, piece.strip(), tokens, tuple(own), opens=start == 0)


@dataclass
class _Packer:
    """Puts parts together to passages."""

    max_tokens: int
    between: int  # tokens
    passages: list[Passage] = field(default_factory=list)
    headings: list[Part] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    path: list[tuple[int, str]] = field(default_factory=list)  # levels and headings in force
    opening: tuple[str, ...] = ()  # the path where the passage in work begins

    def add_heading(self, heading: Part, level: int) -> None:
        if self.parts and (self._enough() or not self._fits(heading)):
            self._close()
        while self.path and self.path[-1][0] >= level:
            self.path.pop()
        self.path.append((level, heading.text))
        (self.parts if self.parts else self.headings).append(heading)

    def add(self, part: Part) -> None:
        if self.parts and (self._enough() or not self._fits(part)):
            self._close()
        if not self.parts:
            self.opening = tuple(text for _, text in self.path)
        self.parts.append(part)

    def done(self) -> list[Passage]:
        if self.parts or self.headings:
            self._close()
        if self.headings:  # at the end of the document, over nothing
            self.opening = tuple(text for _, text in self.path)
            self._put(())
        self._join_the_last()
        return self.passages

    def _tokens(self, parts: Sequence[Part]) -> int:
        return sum(part.tokens for part in parts) + self.between * max(0, len(parts) - 1)

    def _enough(self) -> bool:
        return self._tokens(self.parts) * 3 >= self.max_tokens

    def _fits(self, part: Part) -> bool:
        return self._tokens([*self.parts, part]) <= self.max_tokens

    def _close(self) -> None:
        """End the passage in work; headings at its end open the next."""
        end = len(self.parts)
        while end and self.parts[end - 1].kind == BlockKind.HEADING:
            end -= 1
        following = self.parts[end:]
        if end:
            self._put(tuple(self.parts[:end]))
        self.headings += following
        self.parts = []

    def _put(self, parts: tuple[Part, ...]) -> None:
        headings = tuple(heading.text for heading in self.headings)
        self.passages.append(Passage(self.opening, headings, parts, self._tokens(parts)))
        self.headings = []

    def _join_the_last(self) -> None:
        """A signature goes with what it signs."""
        if len(self.passages) < 2:
            return
        *_, before, last = self.passages
        if not last.parts or last.headings or last.tokens * 12 >= self.max_tokens or not last.parts[0].opens:
            return
        parts = (*before.parts, *last.parts)
        if self._tokens(parts) <= self.max_tokens:
            joined = Passage(before.path, before.headings, parts, self._tokens(parts))
            self.passages[-2:] = [joined]
