"""The style profile as a page, two of them side by side, and the file of one."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.datasets.test_profile import BLUEBOOK, COURT
from tests.factories import ready_document
from tests.pages.reports import frozen, profiled
from webapp.core.tenancy import tenant_scope
from webapp.datasets import services as datasets
from webapp.datasets.profile import ProfileBuilder
from webapp.datasets.templatetags.reports import how_often

SignIn = Callable[..., Client]


def words(html: str) -> str:
    """What a person reads of a page."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_profile_reads_like_a_style_book(firm: Firm, signed_in: SignIn) -> None:
    dataset = profiled(firm, name="Briefs", texts=[COURT] * 3)
    page = signed_in(firm.alice).get(f"/datasets/{dataset.id}/profile/").content.decode()
    said = words(page)
    assert "Reporters and courts" in said
    assert "United States Reports 9 places “U. S.” always" in said
    assert "Grutter v. Bollinger, 539 U. S. 306, 325–326 (2003) . See" in said
    assert "<mark>539 U. S. 306, 325–326 (2003)</mark>" in page
    assert "The same again 6 places “Id., at 5” as often as not" in said
    assert "Form Share Count “Id., at 5” 50% 3 “Ibid.” 50% 3" in said
    assert "Read them as hints, not as rules" in said
    assert "style=" not in page


def test_a_short_profile_is_not_offered_for_comparison_alone(firm: Firm, signed_in: SignIn) -> None:
    dataset = profiled(firm, name="Briefs", texts=[COURT])
    alice = signed_in(firm.alice)
    assert "profile/compare/" not in alice.get(f"/datasets/{dataset.id}/profile/").content.decode()
    page = alice.get(f"/datasets/{dataset.id}/profile/compare/").content.decode()
    assert "No other dataset to compare with" in page


def test_two_houses_side_by_side(firm: Firm, signed_in: SignIn) -> None:
    one = profiled(firm, name="Briefs", texts=[COURT] * 8)
    other = profiled(firm, name="Notes", texts=[BLUEBOOK] * 8)
    alice = signed_in(firm.alice)
    assert "profile/compare/" in alice.get(f"/datasets/{one.id}/profile/").content.decode()
    asked = alice.get(f"/datasets/{one.id}/profile/compare/").content.decode()
    assert f'<option value="{other.id}">Notes</option>' in asked
    assert f'value="{one.id}"' not in asked
    page = alice.get(f"/datasets/{one.id}/profile/compare/", {"with": str(other.id)}).content.decode()
    said = words(page)
    assert "They differ in 17 of 24 things" in said
    assert "“Briefs” prints “U. S.” (100%); “Notes” prints “U.S.” (100%)." in said
    assert len(re.findall(r"</svg>Differs</span>", page)) == 17
    assert len(re.findall(r"</svg>Alike</span>", page)) == 7


def test_another_firms_dataset_cannot_be_compared_with(
    firm: Firm, other_firm: Firm, signed_in: SignIn
) -> None:
    ours = profiled(firm, name="Briefs", texts=[COURT])
    theirs = ready_document(other_firm)
    carol = signed_in(other_firm.carol)
    assert carol.get(f"/datasets/{ours.id}/profile/compare/").status_code == 404
    alice = signed_in(firm.alice)
    for unknown in (str(theirs.id), "no-id"):
        answer = alice.get(f"/datasets/{ours.id}/profile/compare/", {"with": unknown})
        assert answer.status_code == 404


def test_a_dataset_from_before_there_were_profiles_says_so(firm: Firm, signed_in: SignIn) -> None:
    documents = [ready_document(firm, text=text) for text in (COURT, BLUEBOOK)]
    old = frozen(firm, name="Old", documents=documents, profile={}, report={})
    new = profiled(firm, name="Briefs", texts=[COURT])
    alice = signed_in(firm.alice)
    assert "made before styles were counted" in alice.get(f"/datasets/{old.id}/profile/").content.decode()
    assert alice.get(f"/datasets/{old.id}/profile/download/").status_code == 404
    page = alice.get(f"/datasets/{old.id}/profile/compare/").content.decode()
    assert "This dataset has no style profile" in page
    asked = alice.get(f"/datasets/{new.id}/profile/compare/").content.decode()
    assert str(old.id) not in asked


def test_a_dataset_without_running_text_says_so(firm: Firm, signed_in: SignIn) -> None:
    documents = [ready_document(firm, text=text) for text in (COURT, BLUEBOOK)]
    empty = ProfileBuilder().result()
    dataset = frozen(firm, name="Forms", documents=documents, profile=empty, report={})
    page = signed_in(firm.alice).get(f"/datasets/{dataset.id}/profile/").content.decode()
    assert "Too little text" in page


def test_a_dataset_that_is_being_built_says_so(firm: Firm, signed_in: SignIn) -> None:
    chosen = [ready_document(firm, text=text) for text in (COURT, BLUEBOOK)]
    with tenant_scope(firm.tenant.id):
        dataset = datasets.create(
            member=firm.alice, name="Briefs", document_ids=[document.id for document in chosen]
        )
    page = signed_in(firm.alice).get(f"/datasets/{dataset.id}/profile/").content.decode()
    assert "No profile yet" in page


def test_the_profile_is_a_file_too(firm: Firm, signed_in: SignIn) -> None:
    dataset = profiled(firm, name="Briefs & opinions", texts=[COURT])
    answer = signed_in(firm.alice).get(f"/datasets/{dataset.id}/profile/download/")
    assert answer["Content-Disposition"] == 'attachment; filename="briefs-opinions-style-profile.json"'
    assert answer.json() == dataset.profile


def test_a_name_with_marks_stays_text(firm: Firm, signed_in: SignIn) -> None:
    text = "See <script>alert(1)</script> v. Bollinger, 539 U. S. 306. It says so here."
    dataset = profiled(firm, name="<b>Briefs</b>", texts=[text])
    page = signed_in(firm.alice).get(f"/datasets/{dataset.id}/profile/").content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<b>Briefs" not in page


@pytest.mark.parametrize(
    ("share", "words_for_it"),
    [
        (1, "always"),
        (0.99, "nearly always"),
        (0.8, "mostly"),
        (0.6, "more often than not"),
        (0.5, "as often as not"),
        (0.4, "most often"),
    ],
)
def test_a_share_in_words(share: float, words_for_it: str) -> None:
    assert how_often(share) == words_for_it
