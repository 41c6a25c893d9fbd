"""Two real houses: the Supreme Court prints `U. S.`, the circuits print `U.S.`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.datasets.test_profile import counts
from webapp.datasets.profile import ProfileBuilder, compare
from workers.extraction.sandbox import extract_in_child

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "samples"

pytestmark = [
    pytest.mark.samples,
    pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample documents beside this checkout"),
]


def house(folder: str) -> dict[str, Any]:
    builder = ProfileBuilder()
    for path in sorted((SAMPLES / folder).iterdir()):
        builder.add(extract_in_child(path, path.name).layout.blocks)
    return builder.result()


def test_two_courts_differ_as_their_style_books_do() -> None:
    court, circuits = house("scotus"), house("circuit")
    ours, theirs = counts(court), counts(circuits)
    assert next(iter(ours["us"])) == "spaced"
    assert next(iter(theirs["us"])) == "closed"
    told = compare(court, circuits, names=("“Court”", "“Circuits”"))
    says = {
        feature["key"]: feature["says"]
        for section in told["sections"]
        for feature in section["features"]
        if feature["verdict"] == "differs"
    }
    assert says["us"] == "“Court” prints “U. S.” (100%); “Circuits” prints “U.S.” (100%)."
    assert {"us", "f", "circuit", "short", "id", "range", "range_sign", "note"} <= set(says)
