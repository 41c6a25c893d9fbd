"""What a worker reads it also looks through, and only a worker loads what that takes."""

from __future__ import annotations

import pytest

from tests.architecture.test_light_processes import loaded_by
from tests.conftest import Firm
from webapp.core.tenancy import tenant_scope
from webapp.documents import services as documents
from webapp.findings import selectors
from workers.tasks.extract_document import extract_document

PAGES = "Call (212) 736-5000 about it.\n\fHer number is 123-45-6789.\n"


@pytest.mark.django_db(transaction=True)
def test_a_document_that_was_read_has_its_findings(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        document = documents.upload(member=firm.alice, name="letter.txt", data=PAGES.encode())
    extract_document()
    with tenant_scope(firm.tenant.id):
        found = [(row.kind, row.state) for row in selectors.findings_of(document)]
    assert found == [("phone", "open"), ("ssn", "open")]


def test_the_web_starts_without_the_phone_numbers_of_the_world() -> None:
    web = "import webapp.asgi; from django.urls import get_resolver; get_resolver().url_patterns"
    assert "phonenumbers" not in loaded_by(web)
