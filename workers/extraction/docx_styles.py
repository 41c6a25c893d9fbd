"""Word's styles: which are headings, block quotes, numbered, indented or hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import IO

from lxml import etree

from workers.extraction.docx_xml import events, is_on, number, value

MAX_STYLES = 20_000
MAX_DEPTH = 20  # styles that one may be based on in turn

# Word keeps the names of its own styles in English, whatever language it speaks.
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_TITLE = re.compile(r"title|heading", re.IGNORECASE)
_QUOTE = re.compile(r"\bquot|blockquote|block text", re.IGNORECASE)


@dataclass
class Properties:
    """What is said of a paragraph or of a run. None is what is left to the style, or to the style's base."""

    heading: int | None = None  # its level from 1; 0 for running text
    quote: bool | None = None
    list_id: str | None = None
    list_level: int | None = None
    left: int | None = None  # indents, in twentieths of a point
    right: int | None = None
    centred: bool | None = None
    strong: bool | None = None  # bold or in capitals
    hidden: bool | None = None

    def take(self, name: str, element: etree._Element) -> None:
        """Note what this child of `w:pPr`, `w:numPr` or `w:rPr` says."""
        if name == "outlineLvl":
            level = number(value(element))
            self.heading = level + 1 if level is not None and 0 <= level <= 8 else 0
        elif name == "numId":
            self.list_id = value(element)
        elif name == "ilvl":
            self.list_level = number(value(element))
        elif name == "ind":
            left = value(element, "left") or value(element, "start")
            right = value(element, "right") or value(element, "end")
            self.left = number(left) if left is not None else self.left
            self.right = number(right) if right is not None else self.right
        elif name == "jc":
            self.centred = value(element) == "center"
        elif name in ("b", "caps"):
            self.strong = is_on(element) or bool(self.strong)
        elif name == "vanish":
            self.hidden = is_on(element)


@dataclass
class _Style(Properties):
    base: str | None = None


class Styles:
    """The styles of one document, by id."""

    def __init__(self, part: IO[bytes] | None = None) -> None:
        """Read `word/styles.xml`. Raises etree.XMLSyntaxError."""
        self._styles: dict[str, _Style] = {}
        self._default = ""
        self._known: dict[str, Properties] = {}
        if part is not None:
            self._read(part)

    def of(self, style_id: str | None) -> Properties:
        """What a style says, with what it takes over from those it is based on."""
        wanted = self._default if style_id is None else style_id
        if wanted not in self._known:
            found = Properties()
            for style in self._chain(wanted):
                for name in _NAMES:
                    if getattr(found, name) is None:
                        setattr(found, name, getattr(style, name))
            self._known[wanted] = found
        return self._known[wanted]

    def _chain(self, style_id: str) -> Iterator[_Style]:
        wanted: str | None = style_id
        for _ in range(MAX_DEPTH):
            style = self._styles.get(wanted or "")
            if style is None:
                return
            yield style
            wanted = style.base

    def _read(self, part: IO[bytes]) -> None:
        style: _Style | None = None
        for event, name, element in events(part):
            if name == "style":
                style = None
                if event == "start" and value(element, "type") in ("paragraph", "character"):
                    style = _Style()
                    style_id = value(element, "styleId") or ""
                    self._styles[style_id] = style
                    if value(element, "type") == "paragraph" and value(element, "default") in ("1", "true"):
                        self._default = style_id
            elif style is None or event == "end":
                continue
            elif name == "name":
                _take_name(style, value(element) or "")
            elif name == "basedOn":
                style.base = value(element)
            else:
                style.take(name, element)
            if len(self._styles) > MAX_STYLES:
                return


_NAMES = [field.name for field in fields(Properties)]


def _take_name(style: _Style, name: str) -> None:
    heading = _HEADING.fullmatch(name)
    if heading:
        style.heading = int(heading[1])
    elif _TITLE.fullmatch(name):
        style.heading = 1
    elif _QUOTE.search(name):
        style.quote = True


def over(direct: Properties, style: Properties) -> Properties:
    """What holds for a paragraph: what is said of itself, else what its style says."""
    return Properties(
        **{
            name: getattr(style, name) if getattr(direct, name) is None else getattr(direct, name)
            for name in _NAMES
        }
    )
