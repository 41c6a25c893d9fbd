"""The XML inside Word files, read as a stream: a hostile part then costs no more than its longest element."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from lxml import etree

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# How a paragraph, a run or a table looked before a tracked change of its form.
_FORMER = frozenset(
    ("pPrChange", "rPrChange", "sectPrChange", "tblPrChange", "trPrChange", "tcPrChange", "tblPrExChange")
)

Event = tuple[str, str, etree._Element]


def events(part: IO[bytes]) -> Iterator[Event]:
    """`("start" or "end", local name, element)` of each element of WordprocessingML, in document order.

    Left out are an older program's copy of what stands beside it, and records of former properties. Entities
    are not resolved, nothing is fetched, depth stays bounded. Raises etree.XMLSyntaxError.
    """
    skipped = 0
    parser: Iterator[tuple[str, etree._Element]] = etree.iterparse(
        part,
        events=("start", "end"),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    for event, element in parser:
        name = _local(element.tag)
        if name in _FORMER or name == "Fallback":
            skipped += 1 if event == "start" else -1
        elif name and not skipped:
            yield event, name, element
        if event == "end":
            element.clear()
            parent = element.getparent()
            while parent is not None and parent[0] is not element:
                del parent[0]


def value(element: etree._Element, name: str = "val") -> str | None:
    """An attribute of WordprocessingML."""
    found = element.get(_W + name)
    return element.get(_STRICT + name) if found is None else found


def is_on(element: etree._Element) -> bool:
    """Whether a property that is there says yes: it may be there to say no."""
    return value(element) not in ("0", "false", "off")


def number(text: str | None) -> int | None:
    """An integer of sane size, or None: attributes hold what their writer pleases."""
    try:
        found = int(text or "", 10) if len(text or "") <= 9 else None
    except ValueError:
        return None
    return found


def _local(tag: str) -> str:
    if tag.startswith(_W):
        return tag[len(_W) :]
    if tag.startswith(_STRICT):
        return tag[len(_STRICT) :]
    return "Fallback" if tag == _FALLBACK else ""
