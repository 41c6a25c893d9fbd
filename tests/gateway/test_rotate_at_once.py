"""One key, rotated twice at the same moment: one of the two gets a secret, and the other a sentence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from tests.conftest import Firm
from webapp.core.errors import Conflict
from webapp.core.tenancy import tenant_scope
from webapp.gateway import services
from webapp.gateway.models import KeyAccess
from webapp.tenants.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_key_has_one_successor_whoever_is_first(firm: Firm) -> None:
    firm.key(firm.alice)
    with tenant_scope(firm.tenant.id):
        key = ApiKey.objects.get()
    gate = Barrier(4)

    def rotate(_: int) -> str:
        try:
            with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
                gate.wait()
                return services.rotate_key(member=firm.alice, key=key)[1]
        except Conflict as refused:
            return refused.message
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(rotate, range(4)))
    assert sum(answer.startswith("hs_") for answer in said) == 1
    assert sum("replaced already" in answer for answer in said) == 3
    with tenant_scope(firm.tenant.id):
        assert (ApiKey.objects.count(), KeyAccess.objects.count()) == (2, 2)
