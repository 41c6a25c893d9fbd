"""Screens inside a firm, asked directly: what does PostgreSQL show to whom?"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.db import DataError, ProgrammingError, connection, transaction

from tests.conftest import Firm
from tests.factories import approved, ready_dataset, ready_document, used
from tests.tenancy.matters import into_matter, screen_off
from webapp.adapters.models import Adapter, AdapterVersion
from webapp.core.tenancy import TenantOwned, firm_scope, tenant_scope
from webapp.datasets.models import (
    Dataset,
    DatasetMatter,
    Example,
    ExampleChange,
    Split,
)
from webapp.documents.models import Document, PageImage, Upload, UploadPart
from webapp.findings.models import Finding, FindingKind
from webapp.gateway import services as gateway
from webapp.gateway.models import KeyAdapter
from webapp.serving import services as serving
from webapp.serving.models import Rollout, ShadowResult
from webapp.tenants import selectors as tenants
from webapp.tenants.models import Matter
from webapp.training.models import Answer, LossPoint, TrainingRun

# Tables of a firm that carry nothing of a matter.
WITHOUT_A_MATTER = {
    "Membership": "people, who are screened and not screened off",
    "ApiKey": "a way in, which acts as its member and is screened with them",
    "KeyAccess": "ids of adapters, whose names and weights their own tables screen",
    "Job": "ids and states; pages reach its sentence through the document, dataset or run it is for",
    "Limit": "numbers of a firm or a key",
    "TextLog": "a choice of the firm",
    "Event": "the chain must be whole to be checked; its page asks what its reader may be told",
}
SCREENED = [
    model
    for model in apps.get_models()
    if issubclass(model, TenantOwned) and model.__name__ not in WITHOUT_A_MATTER
]


@pytest.mark.parametrize("model", SCREENED, ids=lambda model: model.__name__)
@pytest.mark.django_db
def test_every_table_that_carries_a_matter_is_screened(model: type[TenantOwned]) -> None:
    """A new model fails here until its migration screens it, or it is told why it needs no screen."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT polcmd FROM pg_policy WHERE polrelid = %s::regclass AND NOT polpermissive",
            [model._meta.db_table],
        )
        assert cursor.fetchall() == [("*",)]


@pytest.fixture
def everything(firm: Firm) -> None:
    """One row or more of every screened table, all of one matter, which alice is screened off."""
    version = approved(firm, by=firm.alice, approver=firm.bob)
    matter = into_matter(firm)
    with firm_scope(firm.tenant.id):
        deployment = serving.put_live(member=firm.bob, version=version)
        rollout = Rollout.objects.create(
            tenant=firm.tenant, version=version, against=deployment, share=5, started_by=firm.bob
        )
        ShadowResult.objects.create(
            tenant=firm.tenant, rollout=rollout, milliseconds=1, live_milliseconds=1, live_characters=1
        )
        run = version.run
        document = Document.objects.all()[0]
        tenant = firm.tenant
        LossPoint.objects.create(tenant=tenant, run=run, split=Split.TRAIN, step=1, loss=2.0)
        Answer.objects.create(tenant=tenant, run=run, step=1, place=0, prompt="p", expected="e", text="t")
        PageImage.objects.create(tenant=tenant, document=document, number=1, stored_name="x")
        Finding.objects.create(tenant=tenant, document=document, kind=FindingKind.SSN, start=0, end=1)
        upload = Upload.objects.create(tenant=tenant, member=firm.bob, matter=matter, name="a.pdf", size=3)
        UploadPart.objects.create(tenant=tenant, upload=upload, offset=0, size=1, stored_name="y")
        draft = Dataset.objects.create(
            tenant=tenant, name="A draft", parent=run.dataset, version=2, created_by=firm.bob
        )
        example = Example.objects.all()[0]
        ExampleChange.objects.create(
            tenant=tenant, dataset=draft, example=example, excluded=True, changed_by=firm.bob
        )
        key, _ = gateway.make_key(member=firm.bob, name="a program")
        KeyAdapter.objects.create(tenant=tenant, access=key.access, adapter=version.adapter)
    used(firm, version)
    screen_off(firm, firm.alice)


def seen(model: Any) -> int:
    """How many rows the transaction sees, where nothing but the database decides."""
    found = model.objects.exclude(is_general=True) if model is Matter else model.objects.all()
    return int(found.count())


@pytest.mark.parametrize("model", SCREENED, ids=lambda model: model.__name__)
def test_only_who_is_not_screened_off_sees_a_row(
    firm: Firm, everything: None, model: type[TenantOwned]
) -> None:
    with firm_scope(firm.tenant.id):
        assert seen(model) > 0, "the whole firm sees it"
    for member in (firm.bob, firm.dora, firm.erin):
        with tenant_scope(firm.tenant.id, viewer=member.id):
            assert seen(model) > 0, "who is not screened sees it"
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert seen(model) == 0, "who is screened sees nothing"
    with tenant_scope(firm.tenant.id):
        assert seen(model) == 0, "who is nobody sees nothing that anybody is screened off"


@pytest.mark.parametrize("model", SCREENED, ids=lambda model: model.__name__)
def test_who_is_screened_off_can_neither_change_nor_delete_a_row(
    firm: Firm, everything: None, model: type[TenantOwned]
) -> None:
    table = model._meta.db_table
    general = tenants.general_matter
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id), connection.cursor() as cursor:
        spared = str(general(firm.tenant.id).id)
        cursor.execute(f"UPDATE {table} SET tenant_id = tenant_id WHERE id <> %s", [spared])
        assert cursor.rowcount == 0
        cursor.execute(f"DELETE FROM {table} WHERE id <> %s", [spared])
        assert cursor.rowcount == 0


def test_nothing_is_put_into_a_matter_that_the_writer_is_screened_off(firm: Firm, everything: None) -> None:
    with firm_scope(firm.tenant.id):
        matter = Matter.objects.get(is_general=False)
    document = ready_document(firm, by=firm.alice)
    with (
        tenant_scope(firm.tenant.id, viewer=firm.alice.id),
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        Document.objects.filter(id=document.id).update(matter=matter)


def test_a_viewer_who_is_no_member_sees_nothing_that_anybody_is_screened_off(
    firm: Firm, other_firm: Firm, everything: None
) -> None:
    for stranger in (uuid.uuid4(), other_firm.frank.id):
        with tenant_scope(firm.tenant.id, viewer=stranger):
            assert seen(Document) == 0
            assert seen(Matter) == 0


def test_a_viewer_who_is_no_id_at_all_is_an_error(firm: Firm, everything: None) -> None:
    broken: Any = "everybody"
    with pytest.raises(DataError), tenant_scope(firm.tenant.id, viewer=broken):
        seen(Document)


def test_a_scope_inside_a_scope_gives_the_viewer_back(firm: Firm, everything: None) -> None:
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        with firm_scope(firm.tenant.id):
            assert seen(Document) == 2
        assert seen(Document) == 0
        with pytest.raises(ZeroDivisionError), firm_scope(firm.tenant.id):
            _ = 1 / 0
        assert seen(Document) == 0


def test_a_screen_of_one_firm_hides_nothing_of_another(
    firm: Firm, other_firm: Firm, everything: None
) -> None:
    ready_document(other_firm)
    with tenant_scope(other_firm.tenant.id):
        assert seen(Document) == 1


def test_what_was_made_before_a_document_moved_follows_it_into_its_matter(firm: Firm) -> None:
    dataset = ready_dataset(firm, by=firm.alice)
    into_matter(firm)
    screen_off(firm, firm.alice)
    with firm_scope(firm.tenant.id):
        DatasetMatter.objects.all().delete()  # as if the dataset had been built before the move
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert not Dataset.objects.filter(id=dataset.id).exists()
        assert seen(Example) == 0


def test_what_learned_of_a_matter_carries_it_when_its_documents_have_moved_on(firm: Firm) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob)
    into_matter(firm)
    screen_off(firm, firm.alice)
    with firm_scope(firm.tenant.id):
        Document.objects.update(matter=tenants.general_matter(firm.tenant.id))
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert seen(Document) == 2
        assert seen(Dataset) == 0
        assert not AdapterVersion.objects.filter(id=version.id).exists()


def test_an_adapter_shows_as_soon_as_one_of_its_versions_does(firm: Firm) -> None:
    hidden = approved(firm, by=firm.alice, approver=firm.bob)
    into_matter(firm)
    screen_off(firm, firm.alice)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert seen(Adapter) == 0
    open_to_all = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="letters")
    with firm_scope(firm.tenant.id):
        AdapterVersion.objects.filter(id=open_to_all.id).update(adapter=hidden.adapter, number=2)
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert Adapter.objects.get(id=hidden.adapter_id).versions.get().number == 2


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.mark.parametrize(
    "rows",
    [
        lambda dataset: Example.objects.filter(dataset=dataset).order_by("position"),
        lambda dataset: LossPoint.objects.filter(run__dataset=dataset),
        lambda dataset: Document.objects.filter(name__startswith="brief"),
    ],
    ids=["examples", "loss points", "documents"],
)
def test_what_is_screened_is_asked_once_for_a_query_and_not_for_each_row(
    firm: Firm, rows: Callable[[Dataset], Any]
) -> None:
    run: TrainingRun = approved(firm, by=firm.alice, approver=firm.bob).run
    with firm_scope(firm.tenant.id):
        LossPoint.objects.bulk_create(
            LossPoint(tenant=firm.tenant, run=run, split=Split.TRAIN, step=step, loss=1.0)
            for step in range(500)
        )
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        found = rows(run.dataset)
        sql, parameters = found.query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", parameters)
            plan = cursor.fetchone()[0][0]["Plan"]
    assert plan["Actual Rows"] >= 2
    asked = [node["Actual Loops"] for node in nodes(plan) if node["Node Type"] == "ProjectSet"]
    assert asked, "the policy asks what is screened"
    assert max(asked) == 1
