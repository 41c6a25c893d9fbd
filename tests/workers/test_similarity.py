"""Near-duplicates are told from their signatures alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.models import ROOT
from webapp.documents.similarity import NEAR_DUPLICATE, jaccard
from workers.similarity import BANDS, bands, signature

WORDS = [f"word{number}" for number in range(3000)]
BRIEF = " ".join(random.Random(1).choices(WORDS, k=4000))
OTHER = " ".join(random.Random(2).choices(WORDS, k=4000))


def revised(text: str, every: int) -> str:
    """`text` with one word in `every` replaced."""
    return " ".join("amended" if at % every == 0 else word for at, word in enumerate(text.split()))


def truly(a: str, b: str) -> float:
    """Jaccard's index of the runs of five words, counted."""
    runs = [{tuple(words[at : at + 5]) for at in range(len(words) - 4)} for words in (a.split(), b.split())]
    return len(runs[0] & runs[1]) / len(runs[0] | runs[1])


def test_the_same_words_are_the_same_document() -> None:
    again = BRIEF.upper().replace(" ", ",\n ")
    assert jaccard(signature(BRIEF), signature(again)) == 1
    assert bands(signature(BRIEF)) == bands(signature(again))


@pytest.mark.parametrize("every", [10, 25, 50, 100, 400])
def test_the_estimate_is_near_the_truth(every: int) -> None:
    other = revised(BRIEF, every)
    assert jaccard(signature(BRIEF), signature(other)) == pytest.approx(truly(BRIEF, other), abs=0.12)


def test_a_revised_draft_is_a_near_duplicate_that_its_bands_find() -> None:
    draft, final = signature(revised(BRIEF, 100)), signature(BRIEF)
    assert jaccard(draft, final) >= NEAR_DUPLICATE
    assert set(bands(draft)) & set(bands(final))


def test_another_brief_is_none() -> None:
    assert jaccard(signature(BRIEF), signature(OTHER)) < 0.05
    assert not set(bands(signature(BRIEF))) & set(bands(signature(OTHER)))


def test_texts_without_words_are_like_nothing() -> None:
    assert signature("") == signature(" – \n") == b""
    assert bands(b"") == []
    assert jaccard(b"", b"") == jaccard(b"", signature(BRIEF)) == 0


def test_a_text_shorter_than_a_run_has_a_signature() -> None:
    assert jaccard(signature("So ordered."), signature("so ordered")) == 1


def test_signatures_of_other_lengths_are_not_compared() -> None:
    with pytest.raises(ValueError, match="different ways"):
        jaccard(signature("a b"), signature("a b")[:256])


@given(st.text(max_size=300))
def test_bands_fit_a_postgres_bigint(text: str) -> None:
    found = bands(signature(text))
    assert len(found) in (0, BANDS)
    assert all(-(2**63) <= band < 2**63 for band in found)


def test_what_the_database_gives_back_can_be_compared() -> None:
    made = signature(BRIEF)
    assert jaccard(memoryview(made), made) == 1


@pytest.mark.parametrize("seed", ["0", "1"])
def test_every_process_makes_the_same_signature(seed: str) -> None:
    program = f"from workers.similarity import bands, signature; print(bands(signature({BRIEF[:2000]!r})))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(bands(signature(BRIEF[:2000])))


def test_signatures_kept_earlier_are_still_those_of_the_same_text() -> None:
    # A change here means that every kept signature must be made anew.
    assert bands(signature("The motion for summary judgment is denied."))[:2] == [
        8484600597087681306,
        -7454050436667125734,
    ]
