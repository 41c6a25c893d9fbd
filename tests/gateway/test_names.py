"""Which adapter answers a key's program, and what it may name: one table, and one property of all keys."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from django.test import Client

from tests.conftest import Firm
from tests.factories import approved, candidate
from tests.serving.engines import RunningEngine
from tests.tenancy.matters import into_matter, screen_off
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.gateway import selectors, services
from webapp.gateway.errors import ModelNotFound, NoDefaultAdapter, NoLiveAdapter
from webapp.gateway.models import KeyAccess, KeyAdapter
from webapp.gateway.requests import Ask
from webapp.gateway.services import Wanted
from webapp.serving import services as release
from webapp.tenants.models import ApiKey

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("web")]

Versions = dict[str, AdapterVersion]

# What answers each key's program for each model that it asks, while briefs@1 is live; “-”: it does not exist.
TABLE = """
key                 (none)     live      briefs    briefs@1  briefs@2  briefs@3  letters    letters@1  base
as_made             briefs@1   briefs@1  briefs@1  briefs@1  briefs@2  -         letters@2  letters@1  -
with_base           briefs@1   briefs@1  briefs@1  briefs@1  briefs@2  -         letters@2  letters@1  base
live_alone          briefs@1   briefs@1  briefs@1  briefs@1  -         -         -          -          -
live_and_letters    briefs@1   briefs@1  briefs@1  briefs@1  -         -         letters@2  letters@1  -
briefs_alone        briefs@1   briefs@1  briefs@1  briefs@1  briefs@2  -         -          -          -
letters_alone       letters@2  -         -         -         -         -         letters@2  letters@1  -
letters_1_alone     letters@1  -         -         -         -         -         -          letters@1  -
letters_1_and_base  letters@1  -         -         -         -         -         -          letters@1  base
letters_and_more    letters@2  briefs@1  briefs@1  briefs@1  briefs@2  -         letters@2  letters@1  -
"""
HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]


def make_versions(firm: Firm) -> Versions:
    """Of briefs two approved versions, the first of them live, and a candidate; of letters two approved."""
    made = [
        approved(firm, by=firm.alice, approver=firm.bob, adapter_name=name)
        for name in ("briefs", "briefs", "letters", "letters")
    ]
    made.append(candidate(firm, by=firm.alice))
    with tenant_scope(firm.tenant.id):
        release.put_live(member=firm.bob, version=made[0])
    return {str(version): version for version in made}


@pytest.fixture
def versions(firm: Firm) -> Versions:
    return make_versions(firm)


@pytest.fixture
def key(firm: Firm) -> ApiKey:
    with tenant_scope(firm.tenant.id):
        made, _ = services.make_key(member=firm.alice, name="a program")
    made.member = firm.alice
    return made


def wanted(versions: Versions, name: str) -> Wanted:
    briefs, letters = versions["briefs@1"].adapter, versions["letters@1"].adapter
    return {
        "as_made": Wanted(),
        "with_base": Wanted(may_use_base=True),
        "live_alone": Wanted(everything=False),
        "live_and_letters": Wanted(everything=False, adapters=(letters,)),
        "briefs_alone": Wanted(default_adapter=briefs, everything=False),
        "letters_alone": Wanted(default_adapter=letters, everything=False),
        "letters_1_alone": Wanted(default_version=versions["letters@1"], everything=False),
        "letters_1_and_base": Wanted(
            default_version=versions["letters@1"], everything=False, may_use_base=True
        ),
        "letters_and_more": Wanted(default_adapter=letters, everything=False, adapters=(briefs, letters)),
    }[name]


def answers(key: ApiKey, model: str | None) -> str:
    """What answers, or the code of the refusal, as far as the key's member sees."""
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        return answer(key, model)


def answer(key: ApiKey, model: str | None) -> str:
    try:
        return selectors.resolve(key, Ask(model, stream=False, body={})).label
    except (ModelNotFound, NoLiveAdapter, NoDefaultAdapter) as error:
        return error.code


def listed(key: ApiKey) -> dict[str, dict[str, Any]]:
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        return {card["id"]: card for card in selectors.cards(key)}


def allow(firm: Firm, key: ApiKey, what: Wanted) -> None:
    with firm_scope(firm.tenant.id):
        services.change_access(member=firm.alice, key=key, wanted=what)


def test_the_table_holds(firm: Firm, versions: Versions, key: ApiKey) -> None:
    for name, *row in ROWS:
        allow(firm, key, wanted(versions, name))
        for model, expected in zip(HEAD[1:], row, strict=True):
            found = answers(key, None if model == "(none)" else model)
            assert found == ("model_not_found" if expected == "-" else expected), f"{name} asks {model}"


def configurations(versions: Versions) -> Iterator[Wanted]:
    """Every default and every list, in a third of their combinations."""
    briefs, letters, smith = (versions[name].adapter for name in ("briefs@1", "letters@1", "smith@1"))
    defaults = [
        {},
        {"default_adapter": briefs},
        {"default_adapter": smith},
        {"default_version": versions["letters@1"]},
        {"default_version": versions["briefs@1"]},
    ]
    lists: list[dict[str, Any]] = [
        {"everything": True},
        {"everything": False},
        {"everything": False, "adapters": (briefs,)},
        {"everything": False, "adapters": (letters, smith)},
    ]
    for (i, default), (j, others) in product(enumerate(defaults), enumerate(lists)):
        if (i + j) % 3 == 0:
            yield Wanted(**default, **others, may_use_base=j < 2)


def test_a_name_is_taken_exactly_if_it_is_listed(firm: Firm, other_firm: Firm, key: ApiKey) -> None:
    """Whatever the key may name, whatever is live, and although alice is screened off one of the adapters."""
    hidden = approved(firm, by=firm.dora, approver=firm.bob, adapter_name="smith")
    into_matter(firm)
    screen_off(firm, firm.alice)
    versions = {"smith@1": hidden, **make_versions(firm)}
    for name in ("base", "live", "default"):  # a firm may call an adapter so; the bare word is taken
        approved(firm, by=firm.alice, approver=firm.bob, adapter_name=name)
    theirs = approved(other_firm, by=other_firm.carol, approver=other_firm.dave, adapter_name="theirs")
    pool = {
        *(f"{name}{at}" for name in ("briefs", "letters") for at in ("", "@1", "@2", "@3")),
        *("smith", "smith@1", "theirs", "theirs@1", theirs.engine_name, str(versions["briefs@1"].id)),
        *("base", "base@1", "live@1", "briefs@01", "briefs@", "@1", "Briefs", "briefs@1 ", " "),
        *("a\x00b", "\ud800", "b" * 5000, "briefs@99999999999"),
    }
    for what in configurations(versions):
        allow(firm, key, what)
        check_that_names_are_those_listed(key, pool)
    with firm_scope(firm.tenant.id):
        release.take_off(member=firm.bob)
    for what in (Wanted(), Wanted(everything=False), Wanted(default_adapter=versions["letters@1"].adapter)):
        allow(firm, key, what)
        check_that_names_are_those_listed(key, pool)


def check_that_names_are_those_listed(key: ApiKey, pool: set[str]) -> None:
    names = listed(key)
    assert not {name for name in names if name.startswith(("smith", "theirs"))}
    assert not {"live", "default"} & set(names)
    with tenant_scope(key.tenant_id, viewer=key.member_id):
        found = {model: answer(key, model) for model in {*pool, *names}}
    taken = {model: label for model, label in found.items() if label != "model_not_found"}
    assert taken == {name: card["version"] or "base" for name, card in names.items()}


def test_a_key_whose_default_is_hidden_or_retired_is_told_the_same(
    firm: Firm, versions: Versions, key: ApiKey
) -> None:
    allow(firm, key, Wanted(default_adapter=versions["letters@1"].adapter))
    assert answers(key, None) == "letters@2"
    for number in (2, 1):
        with tenant_scope(firm.tenant.id):
            release.retire(member=firm.bob, version=versions[f"letters@{number}"])
        assert answers(key, None) == ("letters@1" if number == 2 else "no_default_adapter")
    allow(firm, key, Wanted(default_version=versions["briefs@2"]))
    into_matter(firm)
    screen_off(firm, firm.alice)
    assert answers(key, None) == "no_default_adapter"
    allow(firm, key, Wanted())
    assert answers(key, None) == answers(key, "live") == "no_live_adapter"


def test_a_key_that_nothing_was_said_of_may_name_nothing(firm: Firm, versions: Versions, key: ApiKey) -> None:
    with tenant_scope(firm.tenant.id):
        KeyAccess.objects.all().delete()
    assert listed(key) == {}
    assert {answers(key, model) for model in (None, "live", "briefs", "base")} == {"model_not_found"}


def test_a_screen_takes_an_adapter_off_a_list_and_gives_it_back(
    firm: Firm, versions: Versions, key: ApiKey
) -> None:
    allow(firm, key, Wanted(everything=False, adapters=(versions["letters@1"].adapter,)))
    into_matter(firm)
    screen = screen_off(firm, firm.alice)
    assert listed(key) == {}
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        services.change_access(member=firm.alice, key=key, wanted=Wanted(everything=False))
        new, _ = services.rotate_key(member=firm.alice, key=key)
    with firm_scope(firm.tenant.id):
        assert KeyAdapter.objects.filter(access__key=key).count() == 1, "she cannot drop what she cannot see"
        screen.delete()
    assert "letters" in listed(key) and list(listed(key)) == list(listed(new))


def test_the_program_is_told_the_same_of_all_that_does_not_exist_for_it(
    firm: Firm, versions: Versions, client: Client
) -> None:
    secret = firm.key(firm.alice, wanted=Wanted(everything=False))
    headers = {"Authorization": f"Bearer {secret}"}
    said = set()
    for model in ("base", "letters@1", "briefs@3", "nothing"):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        answer = client.post("/v1/chat/completions", body, content_type="application/json", headers=headers)
        one = client.get(f"/v1/models/{model}", headers=headers)
        assert (answer.status_code, one.status_code) == (404, 404)
        said |= {answer.content, one.content}
    assert len(said) == 1
    assert client.get("/v1/models/briefs@1", headers=headers).json()["live"] is True


def test_a_model_is_shown_to_no_one_without_a_key(client: Client, firm: Firm, versions: Versions) -> None:
    assert client.get("/v1/models/briefs").status_code == 401


def test_the_base_answers_whoever_may_ask_it(firm: Firm, client: Client, with_engine: RunningEngine) -> None:
    headers = {"Authorization": f"Bearer {firm.key(firm.alice, wanted=Wanted(may_use_base=True))}"}
    body = {"model": "base", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
    answer = client.post("/v1/chat/completions", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    assert answer.json()["model"] == "base"
