"""The log is whole for everybody who may read it; what an event is about is hidden as its matter is."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from tests.conftest import Firm
from tests.factories import approved
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import tenant_scope
from webapp.serving import services as serving
from webapp.tenants.models import Membership

HIDDEN = "In a matter that you are screened off"


def test_events_of_a_matter_are_hidden_from_who_is_screened_off_it(
    firm: Firm, signed_in: Callable[[Membership], Client]
) -> None:
    version = approved(firm, by=firm.alice, approver=firm.bob, adapter_name="smith")
    with tenant_scope(firm.tenant.id):
        serving.put_live(member=firm.bob, version=version)
    into_matter(firm)
    about = ["smith@1", str(version.id), str(version.run.dataset_id), version.sha256]
    before = signed_in(firm.erin).get("/audit/").content.decode()
    assert all(word in before for word in about) and HIDDEN not in before
    screen_off(firm, firm.erin)
    after = signed_in(firm.erin).get("/audit/").content.decode()
    assert [word for word in about if word in after] == []
    assert HIDDEN in after and "The chain is whole" in after
    assert "Opened the firm" in after and "Added a person" in after
    assert all(word in signed_in(firm.dora).get("/audit/").content.decode() for word in about)
