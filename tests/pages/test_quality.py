"""The quality report as a page."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.test import Client

from tests.conftest import Firm
from tests.datasets.test_profile import BLUEBOOK, COURT
from tests.datasets.test_quality import FINDINGS, report
from tests.factories import ready_document
from tests.pages.reports import frozen, profiled
from tests.pages.test_profile import words

SignIn = Callable[..., Client]


def test_the_report_says_what_is_there_and_what_to_do(firm: Firm, signed_in: SignIn) -> None:
    dataset = profiled(firm, name="Briefs", texts=[COURT, BLUEBOOK])
    page = signed_in(firm.erin).get(f"/datasets/{dataset.id}/quality/").content.decode()
    said = words(page)
    assert "Training examples 2 200 tokens" in said
    assert "Mend There are 2 training examples with 200 tokens: too little to learn a style well." in said
    assert "Add documents until there are at least 50 examples with 20,000 tokens." in said
    assert "Citations in the house&#x27;s form" in said
    assert "style=" not in page


def test_the_picture_has_its_words_and_its_table(firm: Firm, signed_in: SignIn) -> None:
    documents = [ready_document(firm, text=text) for text in (COURT, BLUEBOOK)]
    told = report(each=2000, findings=FINDINGS)
    for share, document in zip(told["shares"], documents * 5, strict=False):
        share["document"] = str(document.id)
    dataset = frozen(firm, name="Large", documents=documents, profile={}, report=told)
    page = signed_in(firm.alice).get(f"/datasets/{dataset.id}/quality/").content.decode()
    said = words(page)
    assert "<title" in page and "<desc" in page
    assert "321–384 0 0 385–512 10,000 2,000 513–640 0 0" in said
    assert "Social Security number 2 3" in said
    # Attributes are numbers for machines, whatever the page's language does to those for people.
    assert not re.findall(r'(?:x|y|width|height|x1|x2|y1|y2)="[^"]*,[^"]*"', page)


def test_a_dataset_without_a_report_says_so(firm: Firm, signed_in: SignIn) -> None:
    documents = [ready_document(firm, text=text) for text in (COURT, BLUEBOOK)]
    old = frozen(firm, name="Old", documents=documents, profile={}, report={})
    page = signed_in(firm.alice).get(f"/datasets/{old.id}/quality/").content.decode()
    assert "made before reports were written" in page


def test_another_firm_does_not_find_it(firm: Firm, other_firm: Firm, signed_in: SignIn) -> None:
    dataset = profiled(firm, name="Briefs", texts=[COURT])
    for member in other_firm.people.values():
        assert signed_in(member).get(f"/datasets/{dataset.id}/quality/").status_code == 404
