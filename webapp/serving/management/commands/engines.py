"""`manage.py engines`: what every engine holds against what it should hold, for whoever runs the machine."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from webapp.serving import reconcile
from webapp.serving.reconcile import Held

TITLES = ("engine", "kind", "address", "answers", "under way", "loaded", "others", "places", "problem")


class Command(BaseCommand):
    help = "Show each engine: whether it answers, what it holds of what it should hold, and how busy it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reconcile", action="store_true", help="first load what is missing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Numbers only. Raises CommandError, for an exit status of 1, unless every engine is in order."""
        if options["reconcile"]:
            reconcile.reconcile()
        found = reconcile.survey()
        rows = [TITLES, *(_row(held) for held in found)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(TITLES))]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join(cells).rstrip())
        wrong = sum(not held.in_order for held in found)
        if wrong:
            raise CommandError(
                f"{wrong} of {len(found)} engines are not in order; a worker tries again every few seconds."
            )


def _row(held: Held) -> tuple[str, ...]:
    known = held.healthy and not held.problem
    replica = held.replica
    return (
        replica.name,
        replica.kind.value,
        replica.url,
        "yes" if held.healthy else "no",
        "" if held.load is None else str(held.load),
        f"{len(held.wanted) - len(held.missing)} of {len(held.wanted)}" if known else "",
        str(len(held.others)) if known else "",
        "" if replica.places is None else str(replica.places),
        held.problem,
    )
