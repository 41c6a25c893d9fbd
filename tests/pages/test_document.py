from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.documents.test_columns import table_document
from tests.documents.test_move import new_matter
from tests.documents.test_withdraw import opened_archive, states
from tests.documents.test_withdraw import read as read_in_turn
from tests.factories import ready_dataset, ready_document
from tests.tenancy.matters import into_matter, screen_off
from webapp.audit.models import Event
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as datasets
from webapp.documents import selectors, services
from webapp.documents.layout import Block, BlockKind, Layout
from webapp.documents.models import Document

SignIn = Callable[..., Client]


def test_the_text_of_a_document_can_be_read(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm, text="First paragraph.\n\nSecond <paragraph>.")
    page = signed_in(firm.erin).get(f"/documents/{document.id}/").content.decode()
    assert "First paragraph." in page
    assert "Second &lt;paragraph&gt;." in page


def test_a_document_is_deleted_and_a_dataset_keeps_its_own(firm: Firm, signed_in: SignIn) -> None:
    loose = ready_document(firm)
    dataset = ready_dataset(firm)
    client = signed_in(firm.alice)
    answer = client.post(f"/documents/{loose.id}/delete/", follow=True)
    assert f"“{loose.name}” is deleted" in answer.content.decode()
    with tenant_scope(firm.tenant.id):
        kept = datasets.parts(dataset)[0].document
    answer = client.post(f"/documents/{kept.id}/delete/", follow=True)
    assert "is part of a dataset" in answer.content.decode()
    with tenant_scope(firm.tenant.id):
        assert set(selectors.documents(firm.tenant.id).values_list("id", flat=True)) >= {kept.id}


def test_a_page_of_a_long_document_shows_that_page_alone(firm: Firm, signed_in: SignIn) -> None:
    blocks = [
        Block(kind, f"{kind.value.title()} on page {page}.", page=page, level=int(kind == BlockKind.HEADING))
        for page in range(1, 2001)
        for kind in BlockKind
    ]
    document = read(firm, blocks, pages=2000)
    client = signed_in(firm.alice)
    page = client.get(f"/documents/{document.id}/?page=1234").content.decode()
    assert set(re.findall(r"on page (\d+)\.", page)) == {"1234"}
    assert "<h3>Heading on page 1234.</h3>" in page
    assert "<blockquote><p>Quote on page 1234.</p></blockquote>" in page
    assert '<p class="numbered">Numbered on page 1234.</p>' in page
    assert page.index("Footnote on page 1234.") > page.index('class="footnotes"') > page.index("Quote on")
    assert 'href="?page=1235#text"' in page
    assert "2,000" in page


def test_how_sure_the_reading_of_a_scan_was_is_said(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.record_text(
            document=document, layout=Layout.of_text("Whereas"), pages=1, kind="pdf", ocr_confidence=0.93
        )
    client = signed_in(firm.alice)
    assert (
        "read with 93% confidence; check the text"
        in client.get(f"/documents/{document.id}/").content.decode()
    )
    assert "read with 93% confidence" in client.get("/documents/").content.decode()


def test_the_original_is_saved_and_never_shown_and_who_took_it_is_kept(firm: Firm, signed_in: SignIn) -> None:
    html = b"<script>alert(1)</script>"
    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="réponse “1”.html", data=html)
    answer = signed_in(firm.erin).get(f"/documents/{document.id}/original/")
    assert answer.content == html
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment; filename*=utf-8''r%C3%A9ponse")
    assert answer["X-Content-Type-Options"] == "nosniff"
    with tenant_scope(firm.tenant.id):
        event = Event.objects.of(firm.tenant.id).get(action="document.downloaded")
        assert (event.actor, event.object_id) == (firm.erin.user.email, str(document.id))


def test_columns_are_chosen_on_a_page_that_shows_the_first_rows(firm: Firm, signed_in: SignIn) -> None:
    document = table_document(firm)
    client = signed_in(firm.alice)
    assert "Choose columns" in client.get("/documents/").content.decode()
    url = f"/documents/{document.id}/columns/"
    page = client.get(url).content.decode()
    assert "We act for the landlord." in page
    assert '<option value="Facts" selected>' in page
    assert '<option value="Our answer" selected>' in page
    wrong = client.post(url, {"prompt": "Facts", "completion": "Facts"}).content.decode()
    assert "Choose another column than the one that is asked." in wrong
    done = client.post(url, {"prompt": "Facts", "completion": "Our answer"}, follow=True).content.decode()
    assert "1 pair is ready to learn from." in done
    assert "Late payment" in done


def test_running_text_has_no_page_to_choose_columns(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    assert signed_in(firm.alice).get(f"/documents/{document.id}/columns/").status_code == 404


def test_a_document_is_withdrawn_with_a_reason_and_restored(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm, text="Whereas it was agreed.")
    client, url = signed_in(firm.alice), f"/documents/{document.id}/"
    assert "Write a sentence; it is kept." in client.post(f"{url}withdraw/", {"reason": " "}).content.decode()
    page = client.post(f"{url}withdraw/", {"reason": "The client asked."}, follow=True).content.decode()
    assert "is withdrawn: no new dataset can be made from it." in page
    assert "The client asked." in page
    assert "Whereas it was agreed." in page
    assert "Withdrawn" in client.get("/documents/").content.decode()
    page = client.post(f"{url}restore/", follow=True).content.decode()
    assert "can be learned from again" in page
    assert "The client asked." not in page


def test_a_document_is_moved_from_its_page(firm: Firm, signed_in: SignIn) -> None:
    document, matter = ready_document(firm), new_matter(firm)
    answer = signed_in(firm.alice).post(f"/documents/{document.id}/move/", {"matter": matter.id}, follow=True)
    assert f"“{document.name}” is now in “Smith v. Jones”." in answer.content.decode()


def test_an_archive_is_withdrawn_with_what_came_in_it_and_restored(firm: Firm, signed_in: SignIn) -> None:
    archive = opened_archive(firm, "a.txt", "b.txt")
    read_in_turn(firm, "a.txt", "b.txt")
    client, url = signed_in(firm.alice), f"/documents/{archive.id}/"
    assert "nor from the files that came in it" in client.get(url).content.decode()
    page = client.post(f"{url}withdraw/", {"reason": "Under seal."}, follow=True).content.decode()
    assert "What came in it was withdrawn with it." in page
    assert "Take the withdrawal back" in page
    assert set(states(firm).values()) == {"withdrawn"}
    page = client.post(f"{url}restore/", follow=True).content.decode()
    assert "can be learned from again" in page
    assert set(states(firm).values()) == {"opened", "ready"}


@pytest.mark.parametrize("verb", ["columns", "move", "withdraw", "restore", "delete"])
def test_an_auditor_changes_nothing(firm: Firm, signed_in: SignIn, verb: str) -> None:
    document = ready_document(firm)
    client = signed_in(firm.erin)
    page = client.get(f"/documents/{document.id}/").content.decode()
    assert not re.search(rf"documents/{document.id}/{verb}/", page)
    assert client.post(f"/documents/{document.id}/{verb}/").status_code == 403
    with tenant_scope(firm.tenant.id):
        assert selectors.document(firm.tenant.id, document.id).state == "ready"


def test_whoever_is_screened_off_a_matter_finds_nothing_of_it(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    into_matter(firm)
    screen_off(firm, firm.alice)
    client = signed_in(firm.alice)
    page = client.get("/documents/").content.decode()
    assert document.name not in page
    assert "Smith v. Jones" not in page
    for path in ("", "original/", "columns/"):
        assert client.get(f"/documents/{document.id}/{path}").status_code == 404
    assert document.name in signed_in(firm.bob).get("/documents/").content.decode()


def read(firm: Firm, blocks: list[Block], *, pages: int) -> Document:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.record_text(document=document, layout=Layout(tuple(blocks)), pages=pages, kind="pdf")
    return document
