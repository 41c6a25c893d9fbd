from __future__ import annotations

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from tests.conftest import Firm
from webapp.core import storage
from webapp.core.storage import Stored, Tampered

SECRET = b"The merger closes on Friday."


def put(firm: Firm) -> Stored:
    return storage.put(
        tenant_id=firm.tenant.id, wrapped_key=firm.tenant.wrapped_key, area="documents", data=SECRET
    )


def get(firm: Firm, name: str) -> bytes:
    return storage.get(tenant_id=firm.tenant.id, wrapped_key=firm.tenant.wrapped_key, name=name)


def test_what_was_put_comes_back(firm: Firm) -> None:
    stored = put(firm)
    assert get(firm, stored.name) == SECRET
    assert stored.size == len(SECRET)


def test_nothing_readable_lies_on_the_disk(firm: Firm) -> None:
    with default_storage.open(put(firm).name) as file:
        assert b"merger" not in file.read()


def test_another_firms_key_does_not_open_it(firm: Firm, other_firm: Firm) -> None:
    with pytest.raises(Tampered):
        get(other_firm, put(firm).name)


def test_a_firms_key_does_not_unwrap_for_another_firm(firm: Firm, other_firm: Firm) -> None:
    stored = put(firm)
    with pytest.raises(Tampered):
        storage.get(tenant_id=other_firm.tenant.id, wrapped_key=firm.tenant.wrapped_key, name=stored.name)


def test_a_changed_or_exchanged_file_is_noticed(firm: Firm) -> None:
    first, second = put(firm), put(firm)
    with default_storage.open(second.name) as file:
        sealed = file.read()
    default_storage.delete(first.name)
    default_storage.save(first.name, ContentFile(sealed))
    with pytest.raises(Tampered):
        get(firm, first.name)


def test_a_derived_key_is_its_firms_and_its_purposes_own(firm: Firm, other_firm: Firm) -> None:
    def derived(of: Firm, purpose: str) -> bytes:
        return storage.derived_key(tenant_id=of.tenant.id, wrapped_key=of.tenant.wrapped_key, purpose=purpose)

    keys = [derived(firm, "one"), derived(firm, "two"), derived(other_firm, "one")]
    assert {len(key) for key in keys} == {32}
    assert len(set(keys)) == 3
    assert derived(firm, "one") == keys[0], "the same each time"
