from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Firm
from tests.factories import ready_document
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.findings import services

LETTER = """PRIVILEGED AND CONFIDENTIAL

Write to jane@example.com or call (212) 736-5000. Her number is 123-45-6789.

The other line is 212-736-5001, and jane@example.com answers there too. See 539 U. S. 306."""

Scanned = Callable[..., Document]


@pytest.fixture
def scanned() -> Scanned:
    """A firm's document that was read, with its findings: `scanned(firm, text="…")`."""

    def make(firm: Firm, *, text: str = LETTER) -> Document:
        document = ready_document(firm, text=text)
        with tenant_scope(firm.tenant.id):
            services.scan(document=document, layout=documents.layout(document))
        return document

    return make
