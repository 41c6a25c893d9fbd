"""Ready-made pairs are looked through and redacted as running text is."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.conftest import Firm
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.documents import selectors, services
from webapp.documents.models import Document
from webapp.documents.pairs import Pair, layout_of
from webapp.findings import recognisers
from webapp.findings import selectors as findings
from webapp.findings.models import Finding, FindingState
from webapp.findings.redaction import Pseudonyms, redact_pairs
from workers.tasks.extract_document import extract_document
from workers.tasks.scan_document import scan_document

JANE, JOHN = "jane.roe@example.com", "john.roe@example.com"
PAIRS = [
    Pair(f"Write to {JANE}.", "It is done."),
    Pair("And to whom else?", f"To {JOHN}.", ({"role": "user", "content": f"Was it {JANE}?"},)),
    Pair("This memo is ATTORNEY-CLIENT PRIVILEGED.", "We advise against it."),
    Pair("Nothing to see.", "Nothing at all."),
]


def found_in(pairs: list[Pair], state: FindingState = FindingState.OPEN) -> list[Finding]:
    return [
        Finding(id=uuid.uuid4(), kind=found.kind, start=found.start, end=found.end, state=state)
        for found in recognisers.find(layout_of(pairs).text)
    ]


def test_what_is_open_leaves_pairs_and_chats_alike() -> None:
    first, second, last = redact_pairs(PAIRS, found_in(PAIRS), Pseudonyms())
    assert first == Pair("Write to [E-mail 1].", "It is done.")
    assert second.context == ({"role": "user", "content": "Was it [E-mail 1]?"},)
    assert second.completion == "To [E-mail 2]."
    assert last == PAIRS[-1], "the privileged pair is left out, the rest stays as it was"


def test_what_was_accepted_stays_as_it_came() -> None:
    assert redact_pairs(PAIRS, found_in(PAIRS, FindingState.ACCEPTED), Pseudonyms()) == PAIRS


def upload(firm: Firm, name: str, text: str) -> Document:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document = services.upload(member=firm.alice, name=name, data=text.encode())
    extract_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        return selectors.document(firm.tenant.id, document.id)


def kinds(firm: Firm, document: Document) -> list[str]:
    with firm_scope(firm.tenant.id):
        return [finding.kind for finding in findings.findings_of(document)]


@pytest.mark.django_db(transaction=True)
def test_pairs_are_looked_through_when_they_are_read(firm: Firm) -> None:
    lines = [{"prompt": pair.prompt, "completion": pair.completion} for pair in PAIRS]
    document = upload(firm, "pairs.jsonl", "\n".join(map(json.dumps, lines)))
    assert kinds(firm, document) == ["email", "email", "privilege"]
    with firm_scope(firm.tenant.id):
        text = selectors.layout(document).text
        assert [text[f.start : f.end] for f in findings.findings_of(document)][:2] == [JANE, JOHN]


@pytest.mark.django_db(transaction=True)
def test_a_table_is_looked_through_once_its_columns_are_chosen(firm: Firm) -> None:
    document = upload(firm, "pairs.csv", f"asked,answered,note\nWho?,{JANE},x\nWhom?,{JOHN},y\n")
    assert kinds(firm, document) == []
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.choose_columns(member=firm.alice, document=document, prompt="asked", completion="answered")
    scan_document()
    assert kinds(firm, document) == ["email", "email"]
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.choose_columns(member=firm.alice, document=document, prompt="asked", completion="note")
    scan_document()
    assert kinds(firm, document) == [], "what is no longer there is no longer found"


@pytest.mark.django_db(transaction=True)
def test_no_decision_outlives_the_words_it_was_made_for(firm: Firm) -> None:
    document = upload(firm, "pairs.csv", f"asked,first,second\nWho?,{JANE},mary.roe@example.com\n")
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.choose_columns(member=firm.alice, document=document, prompt="asked", completion="first")
    scan_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        Finding.objects.filter(document=document).update(state=FindingState.ACCEPTED)
        services.choose_columns(member=firm.alice, document=document, prompt="asked", completion="second")
    scan_document()
    with firm_scope(firm.tenant.id):
        assert [found.state for found in findings.findings_of(document)] == [FindingState.OPEN]
