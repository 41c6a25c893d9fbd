"""Pages of an original are drawn by a worker when somebody looks, and shown beside the text."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from django.test import Client
from PIL import Image

from tests.conftest import Firm
from tests.extraction.files import BRIEF, pdf
from webapp.core.jobs.models import Job, JobKind, JobState
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.documents import selectors, services
from webapp.documents.models import Document, PageImage
from webapp.documents.page_images import AHEAD
from webapp.tenants.models import Membership
from workers.tasks.extract_document import extract_document
from workers.tasks.render_pages import draw_pages

pytestmark = pytest.mark.django_db(transaction=True)

SignIn = Callable[[Membership], Client]


@pytest.fixture
def brief(firm: Firm) -> Document:
    """A PDF with two pages more than are drawn at once, read by the worker."""
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document = services.upload(
            member=firm.alice, name="brief.pdf", data=pdf([[*BRIEF, f"Page {n}."] for n in range(AHEAD + 2)])
        )
    extract_document()
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        return selectors.document(firm.tenant.id, document.id)


def jobs(firm: Firm) -> list[str]:
    with firm_scope(firm.tenant.id):
        return list(Job.objects.filter(kind=JobKind.RENDER).values_list("state", flat=True))


def test_the_first_look_asks_and_the_next_shows(firm: Firm, brief: Document, signed_in: SignIn) -> None:
    client = signed_in(firm.erin)
    panel, picture = f"/documents/{brief.id}/pages/1/", f"/documents/{brief.id}/pages/1/image/"
    assert client.get(picture).status_code == 404
    for _ in range(3):
        assert "Page 1 is being drawn" in client.get(panel).content.decode()
    assert jobs(firm) == [JobState.QUEUED], "however often one looks, one job draws"
    draw_pages()
    assert picture in client.get(panel).content.decode()
    answer = client.get(picture)
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("image/png", "private, no-store")
    drawn = Image.open(io.BytesIO(answer.content))
    assert drawn.width > 700 and drawn.height > drawn.width
    assert drawn.getextrema() != ((255, 255),) * len(drawn.getbands()), "the page is not blank"


def test_the_next_pages_are_drawn_along_and_the_others_when_they_are_looked_at(
    firm: Firm, brief: Document, signed_in: SignIn
) -> None:
    client = signed_in(firm.alice)
    client.get(f"/documents/{brief.id}/pages/1/")
    draw_pages()
    with firm_scope(firm.tenant.id):
        assert PageImage.objects.exclude(stored_name="").count() == AHEAD
    last = f"/documents/{brief.id}/pages/{AHEAD + 2}/"
    assert "is being drawn" in client.get(last).content.decode()
    draw_pages()
    assert "is being drawn" not in client.get(last).content.decode()


def test_pages_go_with_their_document(firm: Firm, brief: Document, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    client.get(f"/documents/{brief.id}/pages/1/")
    draw_pages()
    client.post(f"/documents/{brief.id}/delete/")
    with firm_scope(firm.tenant.id):
        assert not PageImage.objects.exists()
    assert client.get(f"/documents/{brief.id}/pages/1/image/").status_code == 404


def test_a_page_that_there_is_not_is_not_drawn(firm: Firm, brief: Document, signed_in: SignIn) -> None:
    client = signed_in(firm.alice)
    assert client.get(f"/documents/{brief.id}/pages/999/").status_code == 404
    assert jobs(firm) == []


def test_a_page_that_the_drawn_original_lacks_is_not_asked_for_again(
    firm: Firm, brief: Document, signed_in: SignIn
) -> None:
    with firm_scope(firm.tenant.id):  # as of a Word file that Word laid out on more pages
        Document.objects.filter(id=brief.id).update(pages=50)
    panel = f"/documents/{brief.id}/pages/50/"
    client = signed_in(firm.alice)
    client.get(panel)
    draw_pages()
    for _ in range(2):
        assert "has fewer pages" in client.get(panel).content.decode()
    assert jobs(firm) == [JobState.SUCCEEDED]


def test_a_text_has_no_look_of_its_own(firm: Firm, signed_in: SignIn) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        document = services.upload(member=firm.alice, name="note.txt", data=b"The motion is granted.")
    extract_document()
    panel = signed_in(firm.alice).get(f"/documents/{document.id}/pages/1/").content.decode()
    assert "being drawn" not in panel
    assert jobs(firm) == []
