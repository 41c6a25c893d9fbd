"""A citation has one neutral form, and each house prints it its own way."""

from __future__ import annotations

import itertools
import logging
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.citations import (
    BLUEBOOK,
    COURT,
    NEUTRAL,
    Form,
    Kind,
    find_citations,
    to_house_form,
    to_neutral_form,
    whole_spans,
)
from webapp.citations.find import WINDOW
from webapp.citations.marks import elided

# As the Court prints it, as the Bluebook has it, and neutral.
FORMS = [
    ("539 U. S. 306, 325 (2003)", "539 U.S. 306, 325 (2003)", "539 US 306, 325 (2003)"),
    ("644 F. 3d 301 (CA2 2011)", "644 F.3d 301 (2d Cir. 2011)", "644 F3d 301 (2d Cir 2011)"),
    ("100 F. 3d 5 (CADC 1997)", "100 F.3d 5 (D.C. Cir. 1997)", "100 F3d 5 (DC Cir 1997)"),
    ("100 F. 3d 5 (CA Fed. 1997)", "100 F.3d 5 (Fed. Cir. 1997)", "100 F3d 5 (Fed Cir 1997)"),
    ("20 F. Supp. 3d 100", "20 F. Supp. 3d 100", "20 F Supp 3d 100"),
    (
        "248 N. Y. 339, 162 N. E. 99 (1928)",
        "248 N.Y. 339, 162 N.E. 99 (1928)",
        "248 NY 339, 162 NE 99 (1928)",
    ),
    ("5 U. S. (1 Cranch) 137 (1803)", "5 U.S. (1 Cranch) 137 (1803)", "5 US (1 Cranch) 137 (1803)"),
    ("550 U. S., at 570", "550 U.S. at 570", "550 US at 570"),
    ("Id., at 325. See id., at 5.", "Id. at 325. See id. at 5.", "Id at 325. See id at 5."),
    ("42 U. S. C. §2000a", "42 U.S.C. § 2000a", "42 USC sec 2000a"),
    ("28 U. S. C. §§1331, 1332", "28 U.S.C. §§ 1331, 1332", "28 USC secs 1331, 1332"),
    ("29 CFR §1614.105", "29 C.F.R. § 1614.105", "29 CFR sec 1614.105"),
    ("§2.05(a) of the lease", "§ 2.05(a) of the lease", "sec 2.05(a) of the lease"),
    ("Fed. Rule Civ. Proc. 56(a)", "Fed. R. Civ. P. 56(a)", "FRCP 56(a)"),
    ("Fed. Rule Evid. 702", "Fed. R. Evid. 702", "FRE 702"),
    ("539 U. S. 306, 325-326, 330", "539 U.S. 306, 325-26, 330", "539 US 306, 325-326, 330"),
    ("550 U. S., at 1399-1402", "550 U.S. at 1399-402", "550 US at 1399-1402"),
    ("Id., at 92-93, 100-101.", "Id. at 92-93, 100-01.", "Id at 92-93, 100-101."),
    ("Grutter, supra, at 341.", "Grutter, supra at 341.", "Grutter, supra at 341."),
    ("supra, n. 4, at 10-12", "supra note 4, at 10-12", "supra note 4 at 10-12"),
    ("So held. Ibid. See ibid.", "So held. Id. See id.", "So held. Id. See id."),
    ("Compl. ¶12, ¶¶14, 15", "Compl. ¶ 12, ¶¶ 14, 15", "Compl. para 12, paras 14, 15"),
    ("20 F. Supp. 3d 100 (SDNY 2014)", "20 F. Supp. 3d 100 (S.D.N.Y. 2014)", "20 F Supp 3d 100 (SDNY 2014)"),
    (
        "20 F. Supp. 3d 100 (ND Cal. 2014)",
        "20 F. Supp. 3d 100 (N.D. Cal. 2014)",
        "20 F Supp 3d 100 (ND Cal 2014)",
    ),
    (
        "5 F. Supp. 2d 1 (SD W. Va. 1998)",
        "5 F. Supp. 2d 1 (S.D. W. Va. 1998)",
        "5 F Supp 2d 1 (SD W Va 1998)",
    ),
    (
        "See, e. g., Grutter, i. e., the case",
        "See, e.g., Grutter, i.e., the case",
        "See, eg, Grutter, ie, the case",
    ),
]


@pytest.mark.parametrize(("court", "bluebook", "neutral"), FORMS)
def test_both_houses_share_one_neutral_form(court: str, bluebook: str, neutral: str) -> None:
    assert to_neutral_form(court) == to_neutral_form(bluebook) == to_neutral_form(neutral) == neutral


@pytest.mark.parametrize(("court", "bluebook", "neutral"), FORMS)
def test_each_house_prints_every_form_its_own_way(court: str, bluebook: str, neutral: str) -> None:
    for text in (court, bluebook):
        assert to_house_form(text, COURT) == court
        assert to_house_form(text, BLUEBOOK) == bluebook


def test_words_around_a_citation_stay_as_they_are() -> None:
    text = "Section 4 of the lease, made on March 4, 2019 in the U. S., runs 30 sec. or so; he did at 5."
    assert to_neutral_form(text) == text


def test_a_page_not_yet_printed_stays_as_it_is() -> None:
    assert to_neutral_form("Fisher, 570 U. S. ___ (2013)") == "Fisher, 570 U. S. ___ (2013)"


def test_citations_come_in_order_with_their_place_and_parts() -> None:
    text = "See Grutter v. Bollinger, 539 U. S. 306, 325 (2003); 42 U. S. C. §1983."
    found = find_citations(text)
    assert [citation.kind for citation in found] == [Kind.CASE, Kind.CODE, Kind.SECTION]
    assert all(text[citation.start : citation.end] == citation.printed for citation in found)
    assert found[0].parts == {"volume": "539", "reporter": "U.S.", "nominative": "", "page": "306"}


def test_a_firms_words_never_reach_a_log(caplog: pytest.LogCaptureFixture) -> None:
    # eyecite by itself logs this text: the section sign lies inside what it takes for the case's citation.
    caplog.set_level(logging.DEBUG)
    find_citations(
        "In Grutter v. Bollinger, 539 U.S. 306 (2003). See 42 U.S.C. § 2000a; 644 F.3d 301 (2011)."
    )
    assert caplog.text == ""


def test_what_only_looks_like_a_page_range_stays() -> None:
    for text in ("See 539 U. S. 306, 300-12-A (2003).", "Id. at 40-30.", "the years 1999-2003"):
        assert Kind.PIN not in [citation.kind for citation in find_citations(text)]


def test_an_id_with_a_place_of_its_own_stays() -> None:
    assert to_neutral_form("Id., ¶¶ and Id. § and the id. of") == "Id., ¶¶ and Id. § and the id. of"


def test_a_house_keeps_the_dash_it_writes() -> None:
    assert to_house_form("539 U.S. 306, 325–26", COURT) == "539 U. S. 306, 325–326"
    assert to_neutral_form("539 U.S. 306, 325–26") == "539 US 306, 325-326"


@pytest.mark.parametrize("seed", range(3))
def test_a_long_text_is_read_like_its_parts(seed: int) -> None:
    rng = random.Random(seed)
    citing = [f"See Doe v. Roe, {n} U. S. 3, {n}-{n + 9} (1999). Id., at 5." for n in range(1, 500)]
    text = " ".join(cited + rng.choice(["", " So it ends.", " Plain."]) for cited in citing)
    assert len(text) > 2 * WINDOW
    assert to_house_form(text, BLUEBOOK) == " ".join(
        to_house_form(cited, BLUEBOOK) for cited in re.split(r"(?<=\.) (?=See|So|Plain)", text)
    )


def test_no_more_is_read_than_was_asked_for() -> None:
    text = "See 539 U. S. 306. " * 2_000
    found = find_citations(text, limit=7)
    assert found == find_citations(text[:WINDOW])[:7]


def test_a_citation_reaches_from_its_name_to_its_parentheses() -> None:
    text = "It fails. Grutter v. Bollinger, 539 U. S. 306, 325 (2003) (so holding). See 42 U. S. C. §1983(b)."
    spans = [text[start:end] for start, end in whole_spans(text, find_citations(text))]
    assert spans == [
        "Grutter v. Bollinger, 539 U. S. 306, 325 (2003) (so holding)",
        "42 U. S. C. §1983(b).",
    ]


numbers = st.integers(1, 999).map(str)
reporters = st.sampled_from(
    ["U.S.", "S. Ct.", "F.2d", "F.3d", "F.4th", "F. Supp. 2d", "N.Y.2d", "N.E.", "A.3d", "P.2d"]
)
cases = st.builds(lambda v, r, p: f"{v} {r} {p}", numbers, reporters, numbers)
sections = st.builds(
    lambda v, c, s: f"{v} {c} § {s}", numbers, st.sampled_from(["U.S.C.", "C.F.R."]), numbers
)
short = st.builds(lambda v, r, p: f"{v} {r} at {p}", numbers, reporters, numbers)
pins = st.builds(
    lambda case, first, more: f"{case}, {first}-{elided(str(first), str(first + more))}",
    cases,
    st.integers(10, 9999),
    st.integers(1, 90),
)
others = st.sampled_from(
    ["Doe, supra at 5", "Doe, supra note 3, at 5", "Compl. ¶ 4", "1 F.3d 2 (S.D. Tex. 1999)"]
)
sentences = st.lists(cases | sections | short | pins | others, min_size=1, max_size=4).map(
    lambda cited: "The rule is settled. See " + "; see also ".join(cited) + ". So it ends."
)


@given(sentences, st.sampled_from([COURT, BLUEBOOK, NEUTRAL]))
@settings(max_examples=60, deadline=None)
def test_the_neutral_form_does_not_depend_on_the_house(text: str, form: Form) -> None:
    neutral = to_neutral_form(text)
    assert to_neutral_form(to_house_form(text, form)) == neutral
    assert to_neutral_form(neutral) == neutral
    assert to_house_form(to_house_form(text, COURT), BLUEBOOK) == text


@given(st.text(st.sampled_from("539 U.S. F3d (2003) at Id.,-–§¶ supra\n\x00 e.g"), max_size=120))
@settings(max_examples=300, deadline=None)
def test_any_text_is_read(text: str) -> None:
    found = find_citations(text)
    assert all(text[citation.start : citation.end] == citation.printed for citation in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))
    neutral = to_neutral_form(text)
    assert to_neutral_form(neutral) == neutral
