from __future__ import annotations

import threading

import pytest
from django.db import connection

from tests.conftest import Firm
from tests.factories import ready_document
from tests.findings.conftest import LETTER, Scanned
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.documents.layout import Block, BlockKind, Layout, Mark
from webapp.findings import selectors, services
from webapp.findings.models import FindingKind, FindingState

pytestmark = pytest.mark.django_db

WORD_FILE = Layout(
    (
        Block(BlockKind.HEADING, "Facts", page=1, level=1),
        Block(BlockKind.PARAGRAPH, "Nothing to see here.", page=1),
        Block(BlockKind.PARAGRAPH, "Call (212) 736-5000 before noon.", page=3),
    ),
    (
        Mark("hidden", 7, 14, page=1),
        Mark("comment", 14, 14, page=1, note="Is that so?", author="Bob"),
        Mark("comment", 14, 14, page=1, note="It is.", author="Dora"),
        Mark("deleted", 27, 27, page=1, note="Nothing at all."),
    ),
)


def test_what_the_text_says_is_found_with_its_place(firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        found = [(row.kind, LETTER[row.start : row.end]) for row in selectors.findings_of(document)]
    assert found == [
        ("privilege", "PRIVILEGED AND CONFIDENTIAL"),
        ("email", "jane@example.com"),
        ("phone", "(212) 736-5000"),
        ("ssn", "123-45-6789"),
        ("phone", "212-736-5001"),
        ("email", "jane@example.com"),
    ]


def test_what_only_the_file_shows_is_found_too_and_every_page_is_right(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        assert services.scan(document=document, layout=WORD_FILE) == 5
        rows = list(selectors.findings_of(document))
    assert {(row.kind, row.page, row.mark) for row in rows} == {
        ("hidden", 1, 0),
        ("comment", 1, 1),
        ("comment", 1, 2),
        ("deleted", 1, 3),
        ("phone", 3, None),
    }
    assert {row.state for row in rows} == {"open"}


def test_a_second_scan_changes_nothing_and_keeps_what_was_decided(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.scan(document=document, layout=WORD_FILE)
        before = selectors.findings_of(document)
        services.decide(member=firm.alice, findings=before.filter(kind="phone"), decision="accepted")
        ids = set(before.values_list("id", "state"))
        assert services.scan(document=document, layout=WORD_FILE) == 5
        assert set(selectors.findings_of(document).values_list("id", "state")) == ids


def test_another_text_brings_its_own_findings(firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        services.decide(
            member=firm.alice, findings=selectors.findings_of(document), decision=FindingState.IGNORED
        )
        assert services.scan(document=document, layout=Layout.of_text("Write to bob@example.com.")) == 1
        (only,) = selectors.findings_of(document)
        assert (only.kind, only.state) == (FindingKind.EMAIL, FindingState.OPEN)


def test_a_document_without_text_has_no_findings(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        assert services.scan(document=document, layout=Layout(())) == 0


@pytest.mark.django_db(transaction=True)
def test_two_that_look_at_once_find_nothing_twice(firm: Firm) -> None:
    """A document is read while a dataset is built of it: the second waits for the first."""
    document = ready_document(firm)

    def again() -> None:
        with firm_scope(firm.tenant.id):
            services.scan(document=document, layout=WORD_FILE)
        connection.close()

    other = threading.Thread(target=again)
    with firm_scope(firm.tenant.id):
        services.scan(document=document, layout=WORD_FILE)
        other.start()
        other.join(1)  # it would end here if it did not wait
    other.join()
    with firm_scope(firm.tenant.id):
        assert selectors.findings_of(document).count() == 5
