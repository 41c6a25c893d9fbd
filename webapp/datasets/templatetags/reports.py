"""How the pages of a profile and a report draw: bars with their widths in attributes, for no style is inline."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def bar(share: float, tone: str = "accent") -> SafeString:
    """A bar as long as `share` of its line. Decoration: the number stands beside it."""
    return stacked(((share, tone),))


@register.simple_tag
def sides_bar(train: float, heldout: float, whole: float) -> SafeString:
    """The training part of `whole`, then its held-out part, on one line."""
    whole = whole or 1
    return stacked(((train / whole, "train"), (heldout / whole, "heldout")))


def stacked(parts: tuple[tuple[float, str], ...]) -> SafeString:
    at = 0.0
    drawn = []
    for share, tone in parts:
        width = max(0.0, min(100.0 - at, share * 100))
        drawn.append((f"bar-{tone}", f"{at:.2f}", f"{width:.2f}"))
        at += width
    return format_html(
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        '<rect class="bar-ground" width="100" height="8"></rect>{}</svg>',
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="8"></rect>', drawn),
    )


@register.filter
def how_often(share: float) -> str:
    """A share in words: `always`, `nearly always`, `mostly`."""
    for least, words in (
        (1.0, "always"),
        (0.95, "nearly always"),
        (0.75, "mostly"),
        (0.5, "more often than not"),
    ):
        if share >= least:
            return words
    return "most often"


@register.simple_tag
def example(told: dict[str, str]) -> SafeString:
    """An example with its form marked."""
    return format_html("{}<mark>{}</mark>{}", told["before"], told["hit"], told["after"])


@register.filter
def both(row: dict[str, Any], what: str) -> int:
    """`what` of a row on both sides together."""
    return int(row["train"][what]) + int(row["heldout"][what])
