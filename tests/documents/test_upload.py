from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import default_storage
from pytest_django.fixtures import Settings

from tests.conftest import Firm
from tests.factories import end_job, ready_dataset, ready_document
from webapp.core.errors import Conflict, Invalid, NotAllowed, NotFound
from webapp.core.jobs.models import JobState
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services


def test_a_file_is_kept_as_it_came_and_waits_to_be_read(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="brief.txt", data=b"To the Court")
        assert document.state == "queued"
        assert selectors.original(document) == b"To the Court"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Matters\\brief.docx", "brief.docx"),
        ("a\x00\nb.txt", "ab.txt"),
        ("", "unnamed"),
    ],
)
def test_a_files_name_is_only_a_name(firm: Firm, given: str, kept: str) -> None:
    with tenant_scope(firm.tenant.id):
        assert services.upload(member=firm.alice, name=given, data=b"x").name == kept


def test_a_file_that_is_too_large_is_refused(firm: Firm, settings: Settings) -> None:
    settings.MAX_UPLOAD_BYTES = 2**20
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid, match="larger than 1 MB"):
        services.upload(member=firm.alice, name="big.pdf", data=b"x" * (2**20 + 1))


def test_a_refused_document_says_why(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="a.pdf", data=b"x")
        end_job(document.job, JobState.FAILED, "This file is empty; choose another one.")
        assert (document.state, document.reason) == ("refused", "This file is empty; choose another one.")


def test_deleting_removes_the_files_too(firm: Firm, django_capture_on_commit_callbacks: Any) -> None:
    document = ready_document(firm, by=firm.alice)
    names = [document.stored_name, document.text_name]
    assert all(default_storage.exists(name) for name in names)
    with django_capture_on_commit_callbacks(execute=True), tenant_scope(firm.tenant.id):
        services.delete(member=firm.alice, document=document)
    assert not any(default_storage.exists(name) for name in names)


def test_what_a_dataset_was_made_from_cannot_be_deleted(firm: Firm) -> None:
    dataset = ready_dataset(firm, by=firm.alice)
    with tenant_scope(firm.tenant.id):
        document = dataset.memberships.all()[0].document
        with pytest.raises(Conflict, match="part of a dataset"):
            services.delete(member=firm.alice, document=document)
        assert selectors.text(selectors.document(firm.tenant.id, document.id))


def test_an_auditor_does_not_upload(firm: Firm) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.upload(member=firm.erin, name="a.txt", data=b"x")


def test_another_firms_document_is_not_found(firm: Firm, other_firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(other_firm.tenant.id), pytest.raises(NotFound):
        selectors.document(other_firm.tenant.id, document.id)
