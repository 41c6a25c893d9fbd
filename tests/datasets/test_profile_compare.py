from __future__ import annotations

from typing import Any

import pytest

from tests.datasets.test_profile import BLUEBOOK, COURT, profile
from webapp.datasets.profile import compare

HOUSES = ("“Briefs”", "“Notes”")


def features(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {feature["key"]: feature for section in told["sections"] for feature in section["features"]}


def differing(told: dict[str, Any]) -> set[str]:
    return {key for key, feature in features(told).items() if feature["verdict"] == "differs"}


def test_exactly_the_features_that_differ_are_marked() -> None:
    told = compare(profile(*[COURT] * 8), profile(*[BLUEBOOK] * 8), names=HOUSES)
    assert differing(told) == {
        "us",
        "f",
        "circuit",
        "short",
        "range",
        "range_sign",
        "note",
        "id",
        "supra",
        "code",
        "section",
        "rules",
        "date",
        "number",
        "oxford",
        "quotes",
        "dash",
    }
    assert {key for key, feature in features(told).items() if feature["verdict"] == "alike"} == {
        "versus",
        "year",
        "pin",
        "signal",
        "part",
        "sentence_opening",
        "sentence",
    }
    # In one of them only, or too seldom in both.
    assert {key for key, feature in features(told).items() if feature["verdict"] == "unknown"} == {
        "stop",
        "contraction",
        "apostrophe",
        "parenthetical",
        "paragraph",
        "paragraph_opening",
    }
    assert told["differences"] == 17
    assert told["alike"] == 7


def test_each_difference_is_a_sentence() -> None:
    told = features(compare(profile(*[COURT] * 8), profile(*[BLUEBOOK] * 8), names=HOUSES))
    assert told["us"]["says"] == "“Briefs” prints “U. S.” (100%); “Notes” prints “U.S.” (100%)."
    assert told["date"]["says"] == (
        "“Briefs” writes “January 2, 2020” (100%); “Notes” writes “2 January 2020” (100%)."
    )
    assert told["us"]["forms"][0]["differs"]
    assert told["us"]["forms"][0]["a"]["count"] == 24
    assert told["us"]["forms"][0]["b"] is None
    assert told["versus"]["says"] == ""


def test_a_profile_is_like_itself() -> None:
    one = profile(*[COURT] * 40)
    told = compare(one, one)
    assert told["differences"] == 0
    assert told["alike"] > 20
    assert not any(form["differs"] for feature in features(told).values() for form in feature["forms"])


def test_too_few_places_tell_nothing() -> None:
    told = compare(profile(COURT), profile(BLUEBOOK))
    assert differing(told) == set()
    assert features(told)["us"]["verdict"] == "unknown"


def test_a_habit_that_may_differ_by_chance_is_not_called_a_difference() -> None:
    """Six of ten against four of ten is what one writer does from one document to the next."""
    six = profile("See 1 U. S. 2. " * 6 + "See 1 U.S. 2. " * 4)
    four = profile("See 1 U. S. 2. " * 4 + "See 1 U.S. 2. " * 6)
    told = compare(six, four)
    assert differing(told) == set()
    assert features(told)["us"]["verdict"] == "unknown"


def test_a_few_places_are_enough_where_the_other_house_never_does_so() -> None:
    told = features(compare(profile("See 1 U. S. 2. " * 100), profile("See 1 U.S. 2. " * 4)))
    assert told["us"]["verdict"] == "differs"


def test_the_same_rule_kept_far_less_often_differs() -> None:
    always = profile("See 1 U. S. 2. " * 60)
    mostly = profile("See 1 U. S. 2. " * 36 + "See 1 U.S. 2. " * 24)
    told = features(compare(always, mostly, names=HOUSES))["us"]
    assert told["says"] == "“Briefs” prints “U. S.” in 100% of places; “Notes” in 60%."


def test_phrases_and_lengths() -> None:
    plain = profile("We say it here. He says it there. The court held it so. " * 30)
    long = profile(
        "It is to be said that the court held what it had to hold in the matter before it now. " * 30
    )
    told = features(compare(plain, long, names=HOUSES))
    assert told["sentence"]["says"] == ("Sentences of “Briefs” have 4 words on average, those of “Notes” 20.")
    assert told["sentence_opening"]["says"] == (
        "More often in “Briefs”: He says, The court, We say. More often in “Notes”: It is."
    )


@pytest.mark.parametrize("other", [{}, {"version": 1, "words": 0, "sections": []}])
def test_an_empty_profile_differs_from_nothing(other: dict[str, Any]) -> None:
    told = compare(profile(COURT), other)
    assert (told["differences"], told["alike"]) == (0, 0)
    assert {feature["verdict"] for feature in features(told).values()} == {"unknown"}
    assert compare(other, other)["sections"] == []
