"""Web pages, and the HTML of e-mails: what a browser would show of them, as blocks."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from webapp.documents.layout import Block, BlockKind, Layout
from workers.extraction.cleanup import readable
from workers.extraction.result import Extracted, Limits, too_long
from workers.extraction.txt import decode

# What a browser does not show, and what stands around a page's text to click on.
# fmt: off
LEFT_OUT = frozenset((
    "audio", "button", "canvas", "datalist", "dialog", "embed", "head", "iframe", "input", "map",
    "math", "nav", "noscript", "object", "option", "script", "select", "style", "svg", "template",
    "textarea", "title", "video",
))
_BLOCKS = frozenset((
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5",
    "h6", "header", "hgroup", "hr", "html", "legend", "li", "main", "menu", "ol", "p", "pre", "section",
    "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul",
))
# fmt: on
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_UNSEEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all)", re.IGNORECASE)


def read_html(data: bytes, limits: Limits) -> Extracted:
    """The blocks of a page. Raises ExtractionRefused: wrong_type, too_large."""
    return Extracted("html", layout=Layout(tuple(blocks_of(_text(data), limits))))


def blocks_of(markup: str, limits: Limits) -> list[Block]:
    """The blocks of this HTML. Raises ExtractionRefused when it holds too much text."""
    root = LexborHTMLParser(markup).root
    return _Page(limits).blocks(root) if root is not None else []


def _text(data: bytes) -> str:
    """Decoded as the page itself says, unless that is no encoding of text or not true."""
    said = _CHARSET.search(data[:4096])
    if said and b"\0" not in data:
        try:
            if codecs.lookup(said[1].decode()).name not in ("utf-8", "utf-16", "utf-32"):
                return data.decode(said[1].decode())
        except (LookupError, UnicodeDecodeError, ValueError):
            pass
    return decode(data)


class _Page:
    """Walks a page once, from its first node to its last, and cuts its words into blocks."""

    def __init__(self, limits: Limits) -> None:
        self._left = limits.text_bytes
        self._found: list[Block] = []
        self._words: list[str] = []
        self._level = 0
        self._quotes = 0
        self._verbatim = 0
        self._lists: list[int] = []  # of each open list the next number, or -1 for bullets
        self._label = ""  # of the item whose first words are yet to come

    def blocks(self, root: LexborNode) -> list[Block]:
        for node, enters in _walk(root):
            tag = node.tag or ""
            if enters and node.is_text_node:
                self._add(node.text_content or "")
            elif enters and tag == "br":
                self._add("\n")
            elif tag in _BLOCKS:
                self._flush()
                self._step(node, tag, enters)
        self._flush()
        return self._found

    def _step(self, node: LexborNode, tag: str, enters: bool) -> None:
        one = 1 if enters else -1
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self._level = int(tag[1]) if enters else 0
        elif tag == "blockquote":
            self._quotes += one
        elif tag == "pre":
            self._verbatim += one
        elif tag in ("ol", "ul", "menu"):
            if enters:
                self._lists.append(_start(node) if tag == "ol" else -1)
            elif self._lists:
                self._lists.pop()
        elif tag == "li" and enters and self._lists:
            number = self._lists[-1]
            self._label = f"{number}." if number >= 0 else "•"
            self._lists[-1] += number >= 0
        elif tag == "li":
            self._label = ""

    def _add(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise too_long()
        # Line ends in the source are spaces; only `br` and `pre` make lines.
        self._words.append(text if self._verbatim or text == "\n" else re.sub(r"[\r\n]+", " ", text))

    def _flush(self) -> None:
        text, self._words = "".join(self._words), []
        for part in re.split(r"\n[^\S\n]*\n\s*", text):
            words = readable(part)
            if words:
                self._found.append(self._block(words))

    def _block(self, text: str) -> Block:
        if self._level:
            return Block(BlockKind.HEADING, text, level=self._level)
        if self._label:
            label, self._label = self._label, ""
            return Block(BlockKind.NUMBERED, f"{label} {text}")
        return Block(BlockKind.QUOTE if self._quotes else BlockKind.PARAGRAPH, text)


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Each node when it opens (True) and each element when it closes, without recursion."""
    node: LexborNode | None = root
    while node is not None:
        child = None
        if not _is_left_out(node):
            yield node, True
            child = node.first_child
        if child is not None:
            node = child
            continue
        while node is not None:
            if node.is_element_node and not _is_left_out(node):
                yield node, False
            if node.next is not None:
                node = node.next
                break
            node = node.parent


def _is_left_out(node: LexborNode) -> bool:
    """Also what the page hides: a reader of it never saw those words, so they are not the firm's text."""
    if not node.is_element_node:
        return not node.is_text_node and not node.is_document_node
    if node.tag in LEFT_OUT:
        return True
    attributes = node.attributes
    if not attributes:
        return False
    return "hidden" in attributes or bool(_UNSEEN.search(attributes.get("style") or ""))


def _start(node: LexborNode) -> int:
    start = node.attributes.get("start") or ""
    return int(start) if re.fullmatch(r"\d{1,6}", start) else 1
