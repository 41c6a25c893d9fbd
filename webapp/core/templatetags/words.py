"""How pages say numbers and states: in words, the same everywhere."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from django import template
from django.template.context import RequestContext
from django.templatetags.static import static
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()

# A state's icon and tone. The word itself always stands beside them: no colour speaks alone.
STATES: dict[str, tuple[str, str, str]] = {
    "queued": ("clock", "quiet", "Waiting"),
    "draft": ("file-earmark-text", "wait", "Draft"),
    "reading": ("arrow-repeat", "busy", "Being read"),
    "building": ("arrow-repeat", "busy", "Being built"),
    "running": ("arrow-repeat", "busy", "Running"),
    "ready": ("check-circle", "good", "Ready"),
    "columns": ("list-check", "wait", "Choose columns"),
    "opened": ("folder2-open", "quiet", "Opened"),
    "withdrawn": ("dash-circle", "quiet", "Withdrawn"),
    "succeeded": ("check-circle", "good", "Finished"),
    "approved": ("check-circle", "good", "Approved"),
    "live": ("broadcast", "live", "Live"),
    "candidate": ("clock", "wait", "Waiting for approval"),
    "refused": ("x-circle", "bad", "Refused"),
    "failed": ("x-circle", "bad", "Failed"),
    "errored": ("x-circle", "bad", "Stopped by a fault"),
    "rejected": ("x-circle", "bad", "Rejected"),
    "retired": ("dash-circle", "quiet", "Retired"),
    "trial": ("layout-split", "wait", "On trial"),
    "cancelled": ("dash-circle", "quiet", "Cancelled"),
    "open": ("exclamation-triangle", "wait", "Open"),
    "accepted": ("check-circle", "good", "Kept"),
    "ignored": ("dash-circle", "quiet", "Not a finding"),
    "redacted": ("shield-lock", "good", "Redacted"),
}


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """An icon of the sprite; decoration only, so screen readers pass over it."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        css,
        static("vendor/icons.svg"),
        name,
    )


@register.simple_tag
def state(value: str, says: str = "") -> SafeString:
    """A state as icon and word."""
    name, tone, word = STATES.get(value, ("dash-circle", "quiet", value.capitalize()))
    return format_html('<span class="state state-{}">{}{}</span>', tone, icon(name), says or word)


@register.inclusion_tag("components/nav_link.html", takes_context=True)
def nav(context: RequestContext, url_name: str, label: str, icon_name: str) -> dict[str, Any]:
    """A link of the main navigation, marked when its page or one below it is open."""
    url = reverse(url_name)
    path = context["request"].path
    open_here = path == url if url == "/" else path.startswith(url)
    return {"url": url, "label": label, "icon_name": icon_name, "open_here": open_here}


@register.filter
def loss(value: float | None) -> str:
    """A loss in nats per token, two decimals."""
    return "–" if value is None else f"{value:.2f}"


@register.filter
def perplexity(value: float | None) -> str:
    """`exp(loss)`: among how many equally likely tokens the model hesitates."""
    return "–" if value is None else f"{math.exp(min(value, 50)):,.1f}"


@register.filter
def percent(share: float | None) -> str:
    if share is None:
        return "–"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


@register.filter
def fine_percent(share: float) -> str:
    """A small share to two figures: `0.29%`."""
    return f"{share * 100:.2g}%"


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds in words, as coarse as a person wants them: `3 minutes`, `1 hour 5 minutes`."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    if whole < 60:
        return _count(whole, "second")
    if whole < 600 and whole % 60 >= 5:
        return f"{_count(whole // 60, 'minute')} {_count(whole % 60, 'second')}"
    minutes = round(whole / 60)
    if minutes < 60:
        return _count(minutes, "minute")
    hours, rest = divmod(minutes, 60)
    return f"{_count(hours, 'hour')} {_count(rest, 'minute')}" if rest else _count(hours, "hour")


@register.filter
def milliseconds(value: float | None) -> str:
    """A short time: `340 ms`, `2.4 s`."""
    if value is None:
        return "–"
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


@register.filter
def time_left(seconds: float | None) -> str:
    """Seconds left in words, rounded up so that the end never comes later than said by much."""
    if seconds is None:
        return "not known yet"
    if seconds < 10:
        return "a few seconds"
    if seconds < 60:
        return f"about {math.ceil(seconds / 10) * 10} seconds"
    return f"about {duration(math.ceil(seconds / 60) * 60)}"


@register.filter
def millions(value: int | None) -> str:
    """A large count in words: `139.4 million`."""
    if value is None:
        return "–"
    for size, word in ((10**9, "billion"), (10**6, "million")):
        if value >= size:
            return f"{value / size:.1f} {word}"
    return f"{value:,}"


@register.filter
def shortest(value: float) -> str:
    """A setting as a person writes it: `0.001`, `32`."""
    return f"{value:g}"


@register.filter
def rate(value: float) -> str:
    """A learning rate on its way, two digits of it: `0.00096`."""
    return f"{value:.2g}"


@register.filter
def plus(value: int, other: int) -> int:
    return value + other


@register.filter
def short_hash(value: str) -> str:
    return f"{value[:8]}…{value[-8:]}" if len(value) > 20 else value


@register.simple_tag
def moment(at: datetime | None) -> SafeString:
    """A date and time that machines can read too."""
    if at is None:
        return SafeString("–")
    return format_html(
        '<time class="text-nowrap" datetime="{}">{}</time>', at.isoformat(), f"{at:%-d %b %Y, %H:%M}"
    )


@register.simple_tag
def fell(before: float | None, after: float | None) -> str:
    """How a held-out loss moved, as a sentence's end: `fell from 2.64 to 1.71`."""
    if before is None or after is None:
        return "was not measured"
    if round(before, 2) == round(after, 2):
        return f"stayed at {after:.2f}"
    verb = "fell" if after < before else "rose"
    return f"{verb} from {before:.2f} to {after:.2f}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
