"""Markdown: headings, quotes, lists and footnotes as its writer marked them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from webapp.documents.layout import Block, BlockKind, Layout
from workers.extraction.cleanup import readable
from workers.extraction.html import blocks_of
from workers.extraction.result import Extracted, Limits, too_long
from workers.extraction.txt import decode

_FRONT_MATTER = re.compile(r"\A---\n(?:[^\n]*\n){0,200}?---\n")
# A footnote and its indented further lines, in the form of Pandoc and GitHub.
_FOOTNOTE = re.compile(
    r"^\[\^([^\]\s]{1,40})\]:[ \t]*((?:[^\n]+\n?)(?:(?:[ \t]{2,}[^\n]+\n?)|\n(?=[ \t]{2,}\S))*)", re.M
)
_REFERENCE = re.compile(r"\[\^([^\]\s]{1,40})\]")
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def read_markdown(data: bytes, limits: Limits) -> Extracted:
    """The blocks of a Markdown file. HTML in it is read as a page and never run.

    Raises ExtractionRefused: wrong_type, too_large.
    """
    text = decode(data).replace("\r\n", "\n").replace("\r", "\n")
    if len(text) > limits.text_bytes:
        raise too_long()
    text = _FRONT_MATTER.sub("", text)
    notes = [(mark, readable(note)) for mark, note in _FOOTNOTE.findall(text)]
    text = _REFERENCE.sub(_raised, _FOOTNOTE.sub("", text))
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    blocks = [*_blocks(tokens, limits)]
    blocks += [Block(BlockKind.FOOTNOTE, f"{mark} {note}") for mark, note in notes if note]
    return Extracted("md", layout=Layout(tuple(blocks)))


def _raised(reference: re.Match[str]) -> str:
    """A note's number as it is printed; a name is none, and would stand in the sentence."""
    return reference[1].translate(_SUPERSCRIPT) if reference[1].isdecimal() else ""


def _blocks(tokens: list[Token], limits: Limits) -> Iterator[Block]:
    lists: list[int] = []  # of each open list the next number, or -1 for bullets
    level = quotes = 0
    label = ""
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "heading_close":
            level = 0
        elif token.type in ("blockquote_open", "blockquote_close"):
            quotes += token.nesting
        elif token.type == "ordered_list_open":
            lists.append(int(token.attrs.get("start", 1)))
        elif token.type == "bullet_list_open":
            lists.append(-1)
        elif token.type in ("ordered_list_close", "bullet_list_close"):
            lists.pop()
        elif token.type == "list_item_open":
            label = f"{lists[-1]}." if lists[-1] >= 0 else "•"
            lists[-1] += lists[-1] >= 0
        elif token.type == "html_block":
            yield from blocks_of(token.content, limits)
        elif token.type in ("inline", "fence", "code_block"):
            text = readable(_inline(token))
            if not text:
                continue
            if level:
                yield Block(BlockKind.HEADING, text, level=level)
            elif label:
                yield Block(BlockKind.NUMBERED, f"{label} {text}")
            else:
                yield Block(BlockKind.QUOTE if quotes else BlockKind.PARAGRAPH, text)
            label = ""


def _inline(token: Token) -> str:
    """The words of a line without its markup; links keep theirs, pictures their description."""
    if token.children is None:
        return token.content
    pieces = []
    for child in token.children:
        if child.type in ("softbreak", "hardbreak"):
            pieces.append(" ")
        elif child.type != "html_inline":
            pieces.append(child.content)
    return "".join(pieces)
