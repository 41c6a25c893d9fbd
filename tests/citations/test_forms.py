"""A citation has one neutral form, and each house prints it its own way."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webapp.citations import BLUEBOOK, COURT, NEUTRAL, Form, find_citations, to_house_form, to_neutral_form
from webapp.citations.find import Kind

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


numbers = st.integers(1, 999).map(str)
reporters = st.sampled_from(
    ["U.S.", "S. Ct.", "F.2d", "F.3d", "F.4th", "F. Supp. 2d", "N.Y.2d", "N.E.", "A.3d", "P.2d"]
)
cases = st.builds(lambda v, r, p: f"{v} {r} {p}", numbers, reporters, numbers)
sections = st.builds(
    lambda v, c, s: f"{v} {c} § {s}", numbers, st.sampled_from(["U.S.C.", "C.F.R."]), numbers
)
short = st.builds(lambda v, r, p: f"{v} {r} at {p}", numbers, reporters, numbers)
sentences = st.lists(cases | sections | short, min_size=1, max_size=4).map(
    lambda cited: "The rule is settled. See " + "; see also ".join(cited) + ". So it ends."
)


@given(sentences, st.sampled_from([COURT, BLUEBOOK, NEUTRAL]))
@settings(max_examples=60, deadline=None)
def test_the_neutral_form_does_not_depend_on_the_house(text: str, form: Form) -> None:
    neutral = to_neutral_form(text)
    assert to_neutral_form(to_house_form(text, form)) == neutral
    assert to_neutral_form(neutral) == neutral
    assert to_house_form(to_house_form(text, COURT), BLUEBOOK) == text
