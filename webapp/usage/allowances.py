"""What may be asked, and what the database knows of what was."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings

from webapp.usage.models import Limit


@dataclass(frozen=True)
class Allowance:
    """The limits of a firm or a key; None where there is none of that kind.

    `is_set`: somebody set them for this firm or key. The installation's default for requests at the same time
    alone does not make requests fail while Redis is away.
    """

    requests: int | None = None
    tokens: int | None = None
    concurrent: int | None = None
    monthly: int | None = None
    is_set: bool = False

    @property
    def numbers(self) -> tuple[int | None, ...]:
        """As the script takes them."""
        return self.requests, self.tokens, self.concurrent, self.monthly

    @property
    def limits_anything(self) -> bool:
        return any(number is not None for number in self.numbers)

    @property
    def fails_closed(self) -> bool:
        by_default = any(number is not None for number in (self.requests, self.tokens, self.monthly))
        return self.limits_anything if self.is_set else by_default


UNLIMITED = Allowance()


def allowance_of(limit: Limit) -> Allowance:
    return Allowance(
        limit.requests_per_minute,
        limit.tokens_per_minute,
        limit.concurrent,
        limit.monthly_tokens,
        is_set=True,
    )


def default_allowance() -> Allowance:
    """A firm's, where its admin set none."""
    given = settings.USAGE_DEFAULTS
    return Allowance(
        given["requests_per_minute"], given["tokens_per_minute"], given["concurrent"], given["monthly_tokens"]
    )


@dataclass(frozen=True)
class Open:
    """A request under way. `second` is the Unix second at which it began, `tokens` the most it can use."""

    id: uuid.UUID
    tokens: int
    second: int
    this_month: bool


@dataclass(frozen=True)
class Known:
    """What the database knows of a firm or key, all read at one moment: tokens that the month's ended
    requests used, those under way, and `(second, requests, tokens)` of what was let in lately."""

    settled: int = 0
    open: Sequence[Open] = field(default_factory=tuple)
    recent: Sequence[tuple[int, int, int]] = field(default_factory=tuple)
