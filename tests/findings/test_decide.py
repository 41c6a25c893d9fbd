from __future__ import annotations

import uuid

import pytest

from tests.conftest import Firm
from tests.findings.conftest import Scanned
from webapp.audit import selectors as audit
from webapp.core.errors import Invalid, NotAllowed, NotFound
from webapp.core.tenancy import tenant_scope
from webapp.documents.models import Document
from webapp.findings import selectors, services
from webapp.findings.models import FindingState

pytestmark = pytest.mark.django_db

MATRIX = """
            alice  bob  dora  erin
decide      yes    yes  yes   -
decide_all  yes    yes  yes   -
undo        yes    yes  yes   -
"""
HEAD, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]
CASES = [(person, row[0], cell == "yes") for row in ROWS for person, cell in zip(HEAD, row[1:], strict=True)]


def states(document: Document) -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in selectors.findings_of(document)]


def events(firm: Firm, action: str) -> list[dict[str, object]]:
    return [event.data for event in audit.events(firm.tenant.id).filter(action=action)]


@pytest.mark.parametrize(("person", "action", "allowed"), CASES)
def test_who_may(firm: Firm, scanned: Scanned, person: str, action: str, allowed: bool) -> None:
    document = scanned(firm)
    member = firm.people[person]

    def act() -> int:
        found = selectors.findings_of(document)
        if action == "decide":
            return services.decide(member=member, findings=found, decision="redacted")
        if action == "undo":
            return services.undo(member=member, findings=found)
        return services.decide_all(member=member, kind="phone", decision="redacted")

    with tenant_scope(firm.tenant.id):
        if allowed:
            act()
        else:
            with pytest.raises(NotAllowed, match="does not let you decide on findings"):
                act()
            assert {state for _, state in states(document)} == {"open"}


@pytest.mark.parametrize("decision", ["accepted", "ignored", "redacted"])
def test_a_decision_is_kept_with_who_and_when(firm: Firm, scanned: Scanned, decision: str) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        first = selectors.findings_of(document)[1]
        assert services.decide(member=firm.bob, findings=[first.id], decision=decision) == 1
        again = selectors.finding(firm.tenant.id, document.id, first.id)
        assert (again.state, again.decided_by) == (decision, firm.bob)
        assert again.decided_at is not None
        assert [state for _, state in states(document)].count("open") == 5


def test_the_same_decision_again_changes_nothing(firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        found = list(selectors.findings_of(document))
        assert services.decide(member=firm.alice, findings=found, decision="ignored") == 6
        assert services.decide(member=firm.bob, findings=found, decision="ignored") == 0
        assert {row.decided_by for row in selectors.findings_of(document)} == {firm.alice}


def test_a_decision_that_is_none_is_refused(firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        for wrong in ("", "open", "deleted"):
            with pytest.raises(Invalid):
                services.decide(member=firm.alice, findings=selectors.findings_of(document), decision=wrong)
        with pytest.raises(Invalid):
            services.decide_all(member=firm.alice, kind="gossip", decision="redacted")


def test_all_of_a_kind_in_one_document_leaves_the_rest(firm: Firm, scanned: Scanned) -> None:
    one, other = scanned(firm), scanned(firm)
    with tenant_scope(firm.tenant.id):
        changed = services.decide_all(
            member=firm.alice, kind="phone", decision="redacted", document_ids=[one.id]
        )
        assert changed == 2
        assert {state for kind, state in states(one) if kind == "phone"} == {"redacted"}
        assert {state for kind, state in states(one) if kind != "phone"} == {"open"}
        assert {state for _, state in states(other)} == {"open"}


def test_all_of_a_kind_in_the_firm_leaves_what_was_decided_one_by_one(firm: Firm, scanned: Scanned) -> None:
    one, other = scanned(firm), scanned(firm)
    with tenant_scope(firm.tenant.id):
        first = selectors.findings_of(one, kind="email")[0]
        services.decide(member=firm.bob, findings=[first], decision="accepted")
        assert services.decide_all(member=firm.alice, kind="email", decision="redacted") == 3
        assert [state for kind, state in states(one) if kind == "email"] == ["accepted", "redacted"]
        assert {state for kind, state in states(other) if kind == "email"} == {"redacted"}


def test_undo_opens_one_or_all_of_a_kind_again(firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        found = selectors.findings_of(document)
        services.decide(member=firm.alice, findings=found, decision="redacted")
        assert services.undo(member=firm.bob, findings=[found[0].id]) == 1
        opened = selectors.findings_of(document)[0]
        assert (opened.state, opened.decided_by, opened.decided_at) == (FindingState.OPEN, None, None)
        assert services.decide_all(member=firm.bob, kind="phone", decision="open") == 2
        assert {state for kind, state in states(document) if kind == "phone"} == {"open"}


def test_every_change_is_in_the_audit_log_without_a_word_of_the_text(firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        services.decide_all(member=firm.bob, kind="email", decision="redacted")
        services.decide_all(member=firm.bob, kind="email", decision="open")
        assert events(firm, "findings.decided") == [{"kind": "email", "count": 2, "decision": "redacted"}]
        assert events(firm, "findings.reopened") == [{"kind": "email", "count": 2, "decision": "open"}]
        event = audit.events(firm.tenant.id).get(action="findings.decided")
        assert (event.actor, event.object_type, event.object_id) == (
            firm.bob.label,
            "document",
            str(document.id),
        )
        assert audit.first_broken(firm.tenant.id) is None


def test_another_firms_findings_are_not_there(firm: Firm, other_firm: Firm, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        ids = [row.id for row in selectors.findings_of(document)]
    with tenant_scope(other_firm.tenant.id):
        with pytest.raises(NotFound):
            services.undo(member=other_firm.carol, findings=ids)
        with pytest.raises(NotFound):
            services.decide(member=other_firm.carol, findings=ids, decision="redacted")
        with pytest.raises(NotFound):
            selectors.finding(other_firm.tenant.id, document.id, ids[0])
        assert services.decide_all(member=other_firm.carol, kind="phone", decision="redacted") == 0
    with tenant_scope(firm.tenant.id):
        assert {state for _, state in states(document)} == {"open"}
        with pytest.raises(NotFound):
            services.decide(member=firm.alice, findings=[uuid.uuid4()], decision="redacted")
