"""How the pages of a profile and a report draw: bars with widths in attributes, since no style is inline."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def bar(share: float, of: float = 1.0, tone: str = "accent") -> SafeString:
    """A bar as long as `share` is of `of`. Decoration: the number stands beside it."""
    return stacked(((share / (of or 1), tone),))


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
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="bar-ground" width="100" height="8"></rect>{}</svg>',
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="8"></rect>', drawn),
    )


HOW_OFTEN = ((1.0, "always"), (0.95, "nearly always"), (0.75, "mostly"), (0.5, "as often as not"))


@register.filter
def how_often(share: float) -> str:
    """The share of the commonest form in words: `always`, `nearly always`, `mostly`."""
    if 0.5 < share < 0.75:
        return "more often than not"
    return next((words for least, words in HOW_OFTEN if share >= least), "most often")


@register.filter
def counted(feature: dict[str, Any]) -> str:
    """What a feature was counted in: `1 place`, `1,204 sentences`."""
    singular = {"parentheses": "parenthesis"}.get(feature["of"], feature["of"].removesuffix("s"))
    return f"{feature['total']:,} {singular if feature['total'] == 1 else feature['of']}"


@register.filter
def per_10000(share: float) -> str:
    """The rate of a word among all words."""
    return f"{share * 10_000:.1f}"


@register.simple_tag
def example(told: dict[str, str]) -> SafeString:
    """An example with its form marked."""
    return format_html("{}<mark>{}</mark>{}", told["before"], told["hit"], told["after"])
