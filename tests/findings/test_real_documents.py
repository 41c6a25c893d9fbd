"""Briefs and opinions are full of numbers, dates and privilege; hardly any of it is a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models import ROOT
from webapp.findings.recognisers import find
from workers.extraction.sandbox import extract_in_child

DEMO = sorted(path for path in (ROOT / "webapp/demo/firms").rglob("*") if path.suffix in {".txt", ".md"})
SAMPLES = ROOT.parent / "shared" / "samples"
# What is in them that a person has to look at: two hotlines in a footnote.
KNOWN = {"indiana-opinion.docx": ["1-877-995-5247", "1-800-273-8255"]}


@pytest.mark.parametrize("path", DEMO, ids=lambda path: path.name)
def test_a_brief_of_the_demonstration_raises_no_false_alarm(path: Path) -> None:
    text = path.read_text()
    assert [text[found.start : found.end] for found in find(text)] == []


@pytest.mark.samples
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample documents beside this checkout")
@pytest.mark.parametrize(
    "name",
    [
        "circuit/calvary-chapel-v-mills.pdf",
        "circuit/ideal-electronic-v-international-fidelity.txt",
        "circuit/jagels-v-missouri.pdf",
        "scotus/fisher-v-university-of-texas.txt",
        "scotus/tarrant-v-herrmann.pdf",
        "intake/indiana-opinion.docx",
    ],
)
def test_an_opinion_raises_no_false_alarm(name: str) -> None:
    path = SAMPLES / name
    text = extract_in_child(path, path.name).text
    assert [text[found.start : found.end] for found in find(text)] == KNOWN.get(path.name, [])
