"""What the playground offers: columns to compare and prompts to begin with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models.functions import Length

from webapp.adapters import selectors as adapters
from webapp.adapters.models import AdapterVersion, VersionState
from webapp.core.errors import NotFound
from webapp.datasets import selectors as datasets
from webapp.datasets.models import Split
from webapp.serving import selectors as serving

BASE = "base"
# Versions in these states never answer again.
NEVER = (VersionState.REJECTED, VersionState.RETIRED)
SUGGESTIONS = 3
# Characters: long enough to hold a citation in its sentence, short enough to read the answers side by side.
SHORT, LONG = 120, 900

STYLE = "Put the citations of this passage into our house style.\n\n"
GENERIC = (
    STYLE + "A complaint must plead facts that make the claim plausible. Bell Atlantic Corp v Twombly, "
    "550 US 544, 570 (2007); Ashcroft v Iqbal, 556 US 662, 678 (2009).",
    STYLE + "An injunction does not follow from infringement as a matter of course. eBay Inc v MercExchange, "
    "LLC, 547 US 388, 391 (2006).",
    STYLE + "Summary judgment is proper where the record shows no genuine dispute as to any material fact. "
    "Fed R Civ P 56(a); Celotex Corp v Catrett, 477 US 317, 322 (1986).",
)


@dataclass(frozen=True)
class Column:
    id: str
    label: str
    detail: str
    live: bool = False


def columns(tenant_id: uuid.UUID) -> list[Column]:
    """The base, then the firm's live version, then its others that may still answer, newest first."""
    live = serving.live_version(tenant_id)
    offered = adapters.versions(tenant_id).exclude(state__in=NEVER).order_by("-created_at")
    others = [version for version in offered if version != live]
    found = [Column(BASE, "Base model", "Without any house style")]
    if live is not None:
        found.append(_column(live, live=True))
    return found + [_column(version) for version in others]


def version(tenant_id: uuid.UUID, column: str) -> AdapterVersion | None:
    """The version behind a column, None for the base. Raises NotFound for what is not on offer."""
    if column == BASE:
        return None
    try:
        found = adapters.version(tenant_id, uuid.UUID(column))
    except ValueError:
        raise NotFound from None
    if found.state in NEVER:
        raise NotFound
    return found


def prompts(tenant_id: uuid.UUID) -> list[str]:
    """Short held-out prompts of the newest dataset, which no adapter has learned from; else general ones."""
    newest = datasets.ready(tenant_id).first()
    if newest is None:
        return list(GENERIC)
    held_out = (
        datasets.examples(newest, split=Split.HELDOUT)
        .annotate(length=Length("prompt"))
        .filter(length__gte=SHORT, length__lte=LONG)
        .order_by("kind", "length")  # citations first: there a house style shows at a glance
    )
    return [example.prompt for example in held_out[:SUGGESTIONS]] or list(GENERIC)


def _column(version: AdapterVersion, *, live: bool = False) -> Column:
    state = "Live" if live else version.get_state_display()
    return Column(str(version.id), str(version), f"{state}, trained on {version.run.dataset.name}", live)
