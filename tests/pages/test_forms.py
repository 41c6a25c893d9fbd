"""Forms show every problem at once, keep what was written, and answer in sentences."""

from __future__ import annotations

import html
import json
import re
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.test import Client

from tests.conftest import Firm
from tests.factories import ready_dataset, ready_document
from tests.models import tiny_model_folder
from webapp.core.tenancy import tenant_scope
from webapp.datasets import selectors as datasets
from webapp.training import selectors as training
from webapp.training.wording import SETTINGS

SignIn = Callable[..., Client]

KINDS = ["cite", "draft", "continue"]


def chosen_in(page: str) -> int:
    """How many documents of a dataset's form are ticked."""
    ticked = re.findall(r"<input[^>]*\bchecked\b[^>]*>", page)
    return sum('name="documents"' in entry for entry in ticked)


def test_a_dataset_form_has_all_ready_documents_chosen(firm: Firm, signed_in: SignIn) -> None:
    for _ in range(3):
        ready_document(firm)
    page = signed_in(firm.alice).get("/datasets/new/").content.decode()
    assert chosen_in(page) == 3


def test_a_dataset_form_has_those_chosen_that_the_documents_page_named(firm: Firm, signed_in: SignIn) -> None:
    first, _ = ready_document(firm), ready_document(firm)
    page = signed_in(firm.alice).get(f"/datasets/new/?document={first.id}").content.decode()
    assert chosen_in(page) == 1


def test_a_dataset_form_shows_every_problem_at_once(firm: Firm, signed_in: SignIn) -> None:
    document = ready_document(firm)
    answer = signed_in(firm.alice).post(
        "/datasets/new/", {"name": " ", "heldout_share": "0.15", "kinds": KINDS, "documents": [document.id]}
    )
    page = answer.content.decode()
    assert "Give the dataset a name." in page
    assert "Choose at least two ready documents: one is held out to measure with." in page


def test_a_dataset_is_made_of_the_chosen_documents(firm: Firm, signed_in: SignIn) -> None:
    chosen = [ready_document(firm).id for _ in range(2)]
    ready_document(firm)
    answer = signed_in(firm.alice).post(
        "/datasets/new/", {"name": "Two", "heldout_share": "0.2", "kinds": KINDS, "documents": chosen}
    )
    with tenant_scope(firm.tenant.id):
        made = datasets.datasets(firm.tenant.id).get(name="Two")
        assert set(datasets.parts(made).values_list("document_id", flat=True)) == set(chosen)
    assert answer.headers["Location"] == f"/datasets/{made.id}/"


def test_thousands_of_documents_are_named_in_one_form(firm: Firm, signed_in: SignIn) -> None:
    chosen = [ready_document(firm).id, *(uuid.uuid4() for _ in range(9_999))]
    form = {"name": "Many", "heldout_share": "0.15", "kinds": KINDS, "documents": chosen}
    answer = signed_in(firm.alice).post("/datasets/new/", form)
    assert answer.status_code == 200
    assert "Choose only documents that are ready." in answer.content.decode()


def test_another_firms_document_is_no_choice(firm: Firm, other_firm: Firm, signed_in: SignIn) -> None:
    foreign = ready_document(other_firm)
    own = ready_document(firm)
    answer = signed_in(firm.alice).post(
        "/datasets/new/",
        {"name": "Two", "heldout_share": "0.15", "kinds": KINDS, "documents": [own.id, foreign.id]},
    )
    assert "Choose only documents that are ready." in answer.content.decode()


def test_a_training_form_shows_every_problem_at_once_and_keeps_what_was_written(
    firm: Firm, signed_in: SignIn
) -> None:
    dataset = ready_dataset(firm)
    answer = signed_in(firm.alice).post(
        "/training/new/",
        {
            "dataset": dataset.id,
            "adapter_name": "My Briefs!",
            "preset": "quick",
            "rank": "128",
            "epochs": "many",
        },
    )
    page = answer.content.decode()
    assert "Use small letters, digits and hyphens" in page
    assert "Rank must be between 4 and 64; 128 was given." in page
    assert "Epochs must be a whole number." in page
    assert 'value="My Briefs!"' in page
    assert '<details class="advanced" open>' in page


def placeholder(page: str, name: str) -> str:
    """What stands in grey in a blank field."""
    (field,) = re.findall(rf'<input[^>]*name="{name}"[^>]*>', page)
    return html.unescape(re.findall(r'placeholder="([^"]*)"', field)[0])


def test_a_blank_setting_shows_what_the_chosen_preset_has_there(
    firm: Firm, signed_in: SignIn, settings: Any
) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()
    ready_dataset(firm)
    client = signed_in(firm.alice)
    quick = client.get("/training/new/?preset=quick").content.decode()
    thorough = client.get("/training/new/?preset=thorough").content.decode()
    assert [placeholder(page, "rank") for page in (quick, thorough)] == ["16", "32"]
    assert [placeholder(page, "layers") for page in (quick, thorough)] == ["1", "All"]
    assert [placeholder(page, "patience") for page in (quick, thorough)] == ["Never ends early", "4"]
    assert "Cosine (the preset" in quick


def test_every_setting_has_a_field_and_keeps_what_was_written_when_the_form_is_asked_for_again(
    firm: Firm, signed_in: SignIn
) -> None:
    ready_dataset(firm)
    written = {
        "rank": "8",
        "alpha": "12",
        "rslora": "on",
        "dropout": "0.1",
        "target": "attention",
        "schedule": "linear",
        "preset": "balanced",
        "adapter_name": "mine",
    }
    page = signed_in(firm.alice).get("/training/new/", written).content.decode()
    for name in SETTINGS:
        assert f'name="{name}"' in page, name
    assert re.search(r'name="rank" value="8"', page) and re.search(r'name="alpha" value="12"', page)
    assert re.search(r'<option value="attention" selected>', page)
    assert re.search(r'<option value="linear" selected>', page)
    assert re.search(r'<input[^>]*name="rslora"[^>]*checked', page)
    assert re.search(r'value="balanced" checked', page)
    assert 'value="mine"' in page and '<details class="advanced" open>' in page


def test_what_is_written_overrides_the_preset_and_a_blank_keeps_it(
    firm: Firm, signed_in: SignIn, settings: Any
) -> None:
    settings.BASE_MODEL_DIR = tiny_model_folder()
    form = {
        "dataset": ready_dataset(firm).id,
        "adapter_name": "briefs",
        "preset": "thorough",
        "rank": " 8 ",
        "rslora": "on",
        "schedule": "linear",
        "dropout": "",
    }
    answer = signed_in(firm.alice).post("/training/new/", form)
    assert answer.status_code == 302, words_of(answer)
    with tenant_scope(firm.tenant.id):
        spec = training.runs(firm.tenant.id).get().training_spec
    assert (spec.rank, spec.rslora, spec.schedule) == (8, True, "linear")
    assert (spec.alpha, spec.dropout, spec.epochs, spec.layers) == (64.0, 0.0, 3, 0)


def test_a_preset_that_does_not_exist_is_said_at_its_field(firm: Firm, signed_in: SignIn) -> None:
    form = {"dataset": ready_dataset(firm).id, "adapter_name": "briefs", "preset": "heroic"}
    answer = signed_in(firm.alice).post("/training/new/", form)
    assert "Choose one of the presets: quick, balanced, thorough." in words_of(answer)


def test_a_base_is_offered_only_where_there_are_several(
    firm: Firm, signed_in: SignIn, settings: Any, tmp_path: Path
) -> None:
    settings.HOME, settings.BASE_MODEL_DIR = tmp_path, tiny_model_folder()
    dataset = ready_dataset(firm)
    client = signed_in(firm.alice)
    assert 'name="base"' not in client.get("/training/new/").content.decode()
    other = tmp_path / "models" / "other"
    shutil.copytree(tiny_model_folder(), other)
    about = json.loads((other / "housestyle.json").read_text()) | {"name": "other", "revision": "1" * 64}
    (other / "housestyle.json").write_text(json.dumps(about))
    page = client.get("/training/new/").content.decode()
    assert '<option value="other" >' in page and "The engine holds tiny-llama" in page
    client.post(
        "/training/new/", {"dataset": dataset.id, "adapter_name": "b", "preset": "quick", "base": "other"}
    )
    with tenant_scope(firm.tenant.id):
        run = training.runs(firm.tenant.id).get()
    assert (run.base_model, run.base_revision) == ("other", "1" * 64)


def words_of(answer: Any) -> str:
    return html.unescape(re.sub(r"<[^>]+>|\s+", " ", answer.content.decode()))


def test_a_person_form_shows_every_problem_at_once(firm: Firm, signed_in: SignIn) -> None:
    answer = signed_in(firm.dora).post(
        "/settings/people/", {"name": "", "email": "no address", "role": "king"}
    )
    page = answer.content.decode()
    assert "Write a full e-mail address." in page
    assert "Choose one of the roles." in page


def test_a_temporary_password_is_shown_once_and_works(firm: Firm, signed_in: SignIn, client: Client) -> None:
    admin = signed_in(firm.dora)
    person = {"name": "Fred", "email": "fred@ashworth.example", "role": "staff"}
    answer = admin.post("/settings/people/", person)
    password = answer.context["added"]["password"]
    assert password in answer.content.decode()
    assert password not in admin.get("/settings/people/").content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    answer = client.post("/sign-in/", {"username": person["email"], "password": password})
    assert answer.headers["Location"] == "/"


def test_a_taken_address_is_said_above_the_form(firm: Firm, signed_in: SignIn) -> None:
    person = {"name": "Alice", "email": firm.alice.user.email, "role": "staff"}
    answer = signed_in(firm.dora).post("/settings/people/", person)
    assert "Somebody already signs in with this e-mail address." in answer.content.decode()
