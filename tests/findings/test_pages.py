from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import ready_document
from tests.findings.conftest import Scanned
from webapp.core.tenancy import tenant_scope
from webapp.documents import services as document_services
from webapp.documents.layout import Block, BlockKind, Layout, Mark
from webapp.documents.models import Document
from webapp.findings import selectors, services
from webapp.findings.models import Finding

SignIn = Callable[..., Client]
FRAGMENT = {"HX-Request": "true"}


def text_of(page: str) -> str:
    """What a page says, without its markup and on one line."""
    return " ".join(re.sub(r"<[^>]+>", "", page).split())


def first(firm: Firm, document: Document, kind: str) -> Finding:
    with tenant_scope(firm.tenant.id):
        return selectors.findings_of(document, kind=kind)[0]


def state(firm: Firm, finding: Finding) -> str:
    with tenant_scope(firm.tenant.id):
        return selectors.finding(firm.tenant.id, finding.document_id, finding.id).state


def test_the_desk_shows_each_finding_in_its_sentences(
    firm: Firm, signed_in: SignIn, scanned: Scanned
) -> None:
    document = scanned(
        firm, text="First. Far away it began. Nearby it went on. Call (212) 736-5000. And on. Not this."
    )
    page = signed_in(firm.alice).get(f"/documents/{document.id}/findings/").content.decode()
    assert "Nearby it went on. Call <mark>(212) 736-5000</mark>. And on.</p>" in page
    assert "Far away" not in page and "Not this" not in page
    assert "A dataset reads [Phone 1] here until somebody decides otherwise." in text_of(page)
    assert "Phone number page 1" in text_of(page)


def test_what_the_file_hid_is_shown_with_who_wrote_it_and_never_as_markup(
    firm: Firm, signed_in: SignIn
) -> None:
    document = ready_document(firm)
    layout = Layout(
        (Block(BlockKind.PARAGRAPH, "It <b>was</b> so.", page=2),),
        (Mark("comment", 3, 3, 2, "Was it? <script>", "Bob <i>"), Mark("hidden", 3, 13, page=2)),
    )
    with tenant_scope(firm.tenant.id):
        document_services.record_text(document=document, layout=layout, pages=2, kind="docx")
        services.scan(document=document, layout=layout)
    page = signed_in(firm.erin).get(f"/documents/{document.id}/findings/").content.decode()
    assert "Was it? &lt;script&gt;" in page and "Bob &lt;i&gt;" in page
    assert "It <mark>&lt;b&gt;was&lt;/b&gt;</mark> so." in page
    assert "This was never part of the text that is learned from." in page
    assert "A dataset reads [Redacted] here" in text_of(page)
    assert "page 2" in page


@pytest.mark.parametrize(
    ("decision", "says"), [("redacted", "Redacted"), ("accepted", "Kept"), ("ignored", "Not a finding")]
)
def test_a_decision_without_a_script_comes_back_to_the_desk(
    firm: Firm, signed_in: SignIn, scanned: Scanned, decision: str, says: str
) -> None:
    document = scanned(firm)
    finding = first(firm, document, "phone")
    client = signed_in(firm.alice)
    answer = client.post(
        f"/documents/{document.id}/findings/{finding.id}/",
        {"decision": decision, "back": "kind=phone&state=all"},
    )
    assert answer["Location"] == f"/documents/{document.id}/findings/?kind=phone&state=all"
    assert state(firm, finding) == decision
    page = text_of(client.get(answer["Location"]).content.decode())
    assert says in page and "Decided by Alice" in page
    assert "5 open, 1 settled." in page


def test_a_script_gets_the_finding_and_the_tally_and_can_undo(
    firm: Firm, signed_in: SignIn, scanned: Scanned
) -> None:
    document = scanned(firm)
    finding = first(firm, document, "ssn")
    path = f"/documents/{document.id}/findings/{finding.id}/"
    client = signed_in(firm.bob)
    answer = client.post(path, {"decision": "redacted"}, headers=FRAGMENT).content.decode()
    assert "<html" not in answer
    assert f'id="finding-{finding.id}"' in answer and 'hx-swap-oob="true"' in answer
    assert "A dataset reads [Social Security number 1] here." in text_of(answer)
    assert 'value="open"' in answer and 'value="redacted"' not in answer
    answer = client.post(path, {"decision": "open"}, headers=FRAGMENT).content.decode()
    assert 'value="redacted"' in answer and "6 open, 0 settled" in answer
    assert state(firm, finding) == "open"


def test_a_decision_that_is_none_is_refused_in_words(firm: Firm, signed_in: SignIn, scanned: Scanned) -> None:
    document = scanned(firm)
    finding = first(firm, document, "ssn")
    answer = signed_in(firm.bob).post(f"/documents/{document.id}/findings/{finding.id}/", {"decision": "x"})
    assert answer.status_code == 400
    assert "Decide “accepted”, “ignored” or “redacted”." in answer.content.decode()


def test_the_tabs_and_kinds_filter(firm: Firm, signed_in: SignIn, scanned: Scanned) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        services.decide_all(member=firm.alice, kind="phone", decision="accepted")
    client = signed_in(firm.alice)

    def shown(query: str) -> list[str]:
        page = client.get(f"/documents/{document.id}/findings/?{query}").content.decode()
        return re.findall(r"<mark>([^<]+)</mark>", page)

    emails = ["jane@example.com"] * 2
    phones = ["(212) 736-5000", "212-736-5001"]
    assert shown("") == ["PRIVILEGED AND CONFIDENTIAL", emails[0], "123-45-6789", emails[1]]
    assert shown("state=settled") == phones
    assert shown("state=all&kind=email") == emails
    assert shown("kind=phone") == []
    assert len(shown("state=all")) == 6
    assert shown("kind=nonsense&state=nonsense") == shown("")


def test_all_of_a_kind_in_a_document_at_once(firm: Firm, signed_in: SignIn, scanned: Scanned) -> None:
    one, other = scanned(firm), scanned(firm)
    client = signed_in(firm.dora)
    path = f"/documents/{one.id}/findings/decide/"
    answer = client.post(path, {"kind": "phone", "decision": "redacted"}, follow=True)
    assert "2 findings are redacted." in answer.content.decode()
    assert state(firm, first(firm, one, "phone")) == "redacted"
    assert state(firm, first(firm, other, "phone")) == "open"
    assert (
        "2 findings are opened again."
        in client.post(path, {"kind": "phone", "decision": "open"}, follow=True).content.decode()
    )
    assert (
        "Choose a kind" in client.post(path, {"kind": "x", "decision": "open"}, follow=True).content.decode()
    )


def test_the_firms_page_lists_what_waits_and_decides_all_of_a_kind(
    firm: Firm, signed_in: SignIn, scanned: Scanned
) -> None:
    document, clean = scanned(firm), ready_document(firm)
    scanned(firm)
    client = signed_in(firm.alice)
    page = client.get("/findings/").content.decode()
    assert f"/documents/{document.id}/findings/" in page and str(clean.id) not in page
    assert "2 documents to look at" in text_of(page)
    assert "4 open" in page
    assert "with “Social Security number” to look at" in text_of(
        client.get("/findings/?kind=ssn").content.decode()
    )
    answer = client.post("/findings/decide/", {"kind": "email", "decision": "redacted"}, follow=True)
    assert "4 findings are redacted." in answer.content.decode()
    assert "E-mail address" not in text_of(client.get("/findings/").content.decode())


def test_empty_states_say_so(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    client = signed_in(firm.alice)
    assert "Nothing waits for a decision" in client.get("/findings/").content.decode()
    page = client.get(f"/documents/{document.id}/findings/").content.decode()
    assert "Nothing found" in page and "Programs miss things" in page


def test_the_document_page_says_what_waits(firm: Firm, signed_in: SignIn, scanned: Scanned) -> None:
    document, clean = scanned(firm), ready_document(firm)
    client = signed_in(firm.erin)
    assert "6 findings wait for a decision" in text_of(
        client.get(f"/documents/{document.id}/").content.decode()
    )
    assert 'id="findings"' not in client.get(f"/documents/{clean.id}/").content.decode()
    with tenant_scope(firm.tenant.id):
        services.decide(member=firm.bob, findings=selectors.findings_of(document), decision="redacted")
    assert "6 findings, all settled." in text_of(client.get(f"/documents/{document.id}/").content.decode())


def test_an_auditor_reads_and_has_no_buttons(firm: Firm, signed_in: SignIn, scanned: Scanned) -> None:
    document = scanned(firm)
    finding = first(firm, document, "phone")
    client = signed_in(firm.erin)
    for path in (f"/documents/{document.id}/findings/", "/findings/"):
        assert 'name="decision"' not in client.get(path).content.decode()
    for path in (f"/documents/{document.id}/findings/{finding.id}/", "/findings/decide/"):
        answer = client.post(path, {"kind": "phone", "decision": "redacted"})
        assert answer.status_code == 403
        assert "Your role does not let you decide on findings" in answer.content.decode()
    assert state(firm, finding) == "open"


def test_every_button_says_what_it_decides_on(firm: Firm, signed_in: SignIn, scanned: Scanned) -> None:
    document = scanned(firm)
    for path in (f"/documents/{document.id}/findings/", "/findings/"):
        page = signed_in(firm.alice).get(path).content.decode()
        buttons = re.findall(r'<button[^>]*name="decision"[^>]*>', page)
        assert len(buttons) > 10
        assert all('aria-label="' in button for button in buttons)


def test_the_desk_asks_the_database_no_more_for_more_findings(
    firm: Firm, signed_in: SignIn, scanned: Scanned, django_assert_max_num_queries: Callable[..., object]
) -> None:
    few = scanned(firm)
    many = scanned(firm, text="\n\n".join(f"Write to person{n}@example.com." for n in range(60)))
    client = signed_in(firm.alice)

    def queries(document: Document) -> int:
        with django_assert_max_num_queries(40) as counted:  # type: ignore[attr-defined]
            assert client.get(f"/documents/{document.id}/findings/").status_code == 200
        return len(counted)

    assert queries(many) <= queries(few) + 1
