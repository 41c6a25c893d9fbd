from __future__ import annotations

import pytest

from tests.conftest import Firm
from tests.factories import end_job, ready_document
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.guess import guess_columns
from webapp.documents.layout import Layout
from webapp.documents.models import Document
from webapp.documents.pairs import Pair, Table

TABLE = Table(
    ("No.", "Facts", "Our answer"),
    (("1", "Late payment", "We act for the landlord."), ("2", "", "Nothing asked"), ("3", "Damp", " ")),
)


def table_document(firm: Firm, table: Table = TABLE) -> Document:
    def record() -> None:
        services.record_text(document=document, layout=Layout(()), pages=1, kind="csv")
        services.record_table(document=document, table=table)

    with tenant_scope(firm.tenant.id):
        document = services.upload(member=firm.alice, name="pairs.csv", data=str(table).encode())
        end_job(document.job, record=record)
    return document


def test_a_table_is_not_offered_before_its_columns_are_chosen(firm: Firm) -> None:
    document = table_document(firm)
    with tenant_scope(firm.tenant.id):
        assert document.state == "columns"
        assert not selectors.ready(firm.tenant.id).exists()
        assert selectors.pairs(document) == []


def test_choosing_columns_makes_pairs_of_the_rows_that_have_both_sides(firm: Firm) -> None:
    document = table_document(firm)
    with tenant_scope(firm.tenant.id):
        pairs = services.choose_columns(
            member=firm.alice, document=document, prompt="Facts", completion="Our answer"
        )
        assert pairs == document.pairs == 1
        assert document.state == "ready"
        assert list(selectors.ready(firm.tenant.id)) == [document]
        assert selectors.pairs(document) == [Pair("Late payment", "We act for the landlord.")]


def test_columns_can_be_chosen_again(firm: Firm) -> None:
    document = table_document(firm)
    with tenant_scope(firm.tenant.id):
        services.choose_columns(member=firm.alice, document=document, prompt="Facts", completion="Our answer")
        services.choose_columns(member=firm.alice, document=document, prompt="No.", completion="Our answer")
        assert [pair.prompt for pair in selectors.pairs(document)] == ["1", "2"]


@pytest.mark.parametrize(
    ("prompt", "completion", "wrong"),
    [
        ("Facts", "Facts", {"completion"}),
        ("Price", "Our answer", {"prompt"}),
        ("Price", "Cost", {"prompt", "completion"}),
    ],
)
def test_columns_that_make_no_pair_are_refused(
    firm: Firm, prompt: str, completion: str, wrong: set[str]
) -> None:
    document = table_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid) as refused:
        services.choose_columns(member=firm.alice, document=document, prompt=prompt, completion=completion)
    assert set(refused.value.fields) == wrong
    assert document.columns is None


def test_columns_without_a_full_row_are_refused(firm: Firm) -> None:
    document = table_document(firm, Table(("a", "b"), (("x", ""), ("", "y"))))
    with tenant_scope(firm.tenant.id), pytest.raises(Invalid, match="No row has words in both"):
        services.choose_columns(member=firm.alice, document=document, prompt="a", completion="b")


def test_running_text_has_no_columns(firm: Firm) -> None:
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(Conflict, match="not a table"):
        services.choose_columns(member=firm.alice, document=document, prompt="a", completion="b")


def test_ready_made_pairs_need_no_columns(firm: Firm) -> None:
    pairs = [Pair("Q", "A", context=({"role": "system", "content": "Be brief."},))]
    document = ready_document(firm)
    with tenant_scope(firm.tenant.id):
        services.record_pairs(document=document, pairs=pairs)
        assert document.state == "ready"
        assert selectors.table(document) is None
        assert selectors.pairs(document) == pairs


def test_an_auditor_chooses_no_columns(firm: Firm) -> None:
    document = table_document(firm)
    with tenant_scope(firm.tenant.id), pytest.raises(NotAllowed):
        services.choose_columns(member=firm.erin, document=document, prompt="Facts", completion="Our answer")


@pytest.mark.parametrize(
    ("columns", "guessed"),
    [
        (["No.", "Facts", "Our answer"], ("Facts", "Our answer")),
        (["completion", "prompt"], ("prompt", "completion")),
        (["House reply", "Client question"], ("Client question", "House reply")),
        (["a", "b", "c"], ("a", "b")),
        (["Answer", "b"], ("b", "Answer")),
        (["Task", "b"], ("Task", "b")),
        (["only"], ("only", "only")),
    ],
)
def test_columns_are_guessed_from_their_names(columns: list[str], guessed: tuple[str, str]) -> None:
    assert guess_columns(columns) == guessed
