"""Who is screened off a matter neither sees nor decides on what was found in its documents."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from tests.conftest import Firm
from tests.findings.conftest import Scanned
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import firm_scope, tenant_scope
from webapp.findings import selectors, services


def test_a_screened_member_has_no_findings_of_the_matter(
    firm: Firm, signed_in: Callable[..., Client], scanned: Scanned
) -> None:
    document = scanned(firm)
    with tenant_scope(firm.tenant.id):
        finding = selectors.findings_of(document, kind="phone")[0]
    into_matter(firm)
    screen_off(firm, firm.alice)
    client = signed_in(firm.alice)
    assert client.get(f"/documents/{document.id}/findings/").status_code == 404
    answer = client.post(f"/documents/{document.id}/findings/{finding.id}/", {"decision": "accepted"})
    assert answer.status_code == 404
    assert document.name not in client.get("/findings/").content.decode()
    client.post("/findings/decide/", {"kind": "phone", "decision": "accepted"})
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert services.decide_all(member=firm.alice, kind="phone", decision="accepted") == 0
    with firm_scope(firm.tenant.id):
        assert {row.state for row in selectors.findings_of(document)} == {"open"}
    assert document.name in signed_in(firm.bob).get("/findings/").content.decode()
