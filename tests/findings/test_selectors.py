from __future__ import annotations

import json

import pytest

from tests.conftest import Firm
from tests.factories import ready_document
from tests.findings.conftest import Scanned
from webapp.core.tenancy import tenant_scope
from webapp.findings import selectors, services

pytestmark = pytest.mark.django_db


def test_counts_say_what_is_open_and_what_is_settled(firm: Firm, scanned: Scanned) -> None:
    one, other, clean = scanned(firm), scanned(firm), ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.decide_all(member=firm.alice, kind="phone", decision="redacted", document_ids=[one.id])
        assert selectors.counts([one.id, other.id, clean.id]) == {
            one.id: {"open": 4, "settled": 2},
            other.id: {"open": 6, "settled": 0},
            clean.id: {"open": 0, "settled": 0},
        }
        assert selectors.open_counts(firm.tenant.id, [one.id]) == {"ssn": 1, "email": 2, "privilege": 1}
        assert selectors.open_counts(firm.tenant.id)["phone"] == 2
        assert selectors.open_kinds([one.id])[one.id] == {"ssn": 1, "email": 2, "privilege": 1}


def test_documents_with_open_findings_come_with_most_first(firm: Firm, scanned: Scanned) -> None:
    few, many = scanned(firm, text="Write to bob@example.com."), scanned(firm)
    ready_document(firm)
    with tenant_scope(firm.tenant.id):
        listed = selectors.documents_with_open(firm.tenant.id)
        assert [(row.id, row.open_findings) for row in listed] == [(many.id, 6), (few.id, 1)]  # type: ignore[attr-defined]
        assert [row.id for row in selectors.documents_with_open(firm.tenant.id, kind="ssn")] == [many.id]


def test_the_report_says_who_decided_what_and_not_one_word_of_the_text(firm: Firm, scanned: Scanned) -> None:
    one, other = scanned(firm), scanned(firm, text="Write to bob@example.com.")
    with tenant_scope(firm.tenant.id):
        services.decide_all(member=firm.bob, kind="email", decision="redacted", document_ids=[one.id])
        services.decide_all(member=firm.alice, kind="phone", decision="ignored")
        rows = selectors.report([other, one])
    assert json.loads(json.dumps(rows)) == rows
    assert [tuple(row.values()) for row in rows] == [
        (str(other.id), "email", "open", 1, None),
        (str(one.id), "ssn", "open", 1, None),
        (str(one.id), "phone", "ignored", 2, firm.alice.label),
        (str(one.id), "email", "redacted", 2, firm.bob.label),
        (str(one.id), "privilege", "open", 1, None),
    ]
    assert list(rows[0]) == ["document", "kind", "state", "count", "decided_by"]
