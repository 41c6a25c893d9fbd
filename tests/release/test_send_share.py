"""A version on trial answers a share of the requests, or a copy of them."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from tests.conftest import Firm
from tests.factories import candidate
from tests.release.conftest import Versions, another
from webapp.audit import selectors as audit
from webapp.core.errors import Conflict, Invalid, NotAllowed
from webapp.core.tenancy import tenant_scope
from webapp.serving import rollouts, selectors, services
from webapp.serving.models import Outcome, Rollout


def test_a_share_begins_grows_and_ends_live(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        for share in (5, 10, 25, 50):
            rollouts.send_share(member=firm.bob, version=versions.second, share=share)
            trial = selectors.rollout(firm.tenant.id)
            assert trial is not None
            assert (trial.version, trial.share, trial.shadow) == (versions.second, share, False)
            assert selectors.live_version(firm.tenant.id) == versions.first
        ended = rollouts.send_share(member=firm.bob, version=versions.second, share=100)
        assert selectors.live_version(firm.tenant.id) == versions.second
        assert selectors.rollout(firm.tenant.id) is None
        assert (ended.share, ended.outcome, ended.ended_by) == (100, Outcome.PROMOTED, firm.bob)
        assert Rollout.objects.count() == 1, "it is one trial, whose share grew"


def test_it_is_audited_with_the_share(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        for share, shadow in ((25, True), (5, False), (5, False), (100, False)):
            rollouts.send_share(member=firm.bob, version=versions.second, share=share, shadow=shadow)
        said = [
            (event.action, event.data.get("share"), event.data.get("shadow"))
            for event in audit.events(firm.tenant.id)[:3]
        ]
    assert said == [
        ("version.put_live", None, None),
        ("version.trial_changed", 5, False),
        ("version.trial_begun", 25, True),
    ]


def test_copies_of_everything_put_nothing_live(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        trial = rollouts.send_share(member=firm.bob, version=versions.second, share=100, shadow=True)
        assert (trial.share, trial.shadow, trial.ended_at) == (100, True, None)
        assert selectors.live_version(firm.tenant.id) == versions.first


def test_a_trial_of_another_version_takes_its_place(firm: Firm, versions: Versions) -> None:
    third = another(firm, versions)
    with tenant_scope(firm.tenant.id):
        before = rollouts.send_share(member=firm.bob, version=versions.second, share=10)
        rollouts.send_share(member=firm.bob, version=third, share=5)
        before.refresh_from_db()
        assert before.outcome == Outcome.REPLACED
        trial = selectors.rollout(firm.tenant.id)
        assert trial is not None and (trial.version, trial.share) == (third, 5)


def test_putting_a_third_version_live_ends_the_trial(firm: Firm, versions: Versions) -> None:
    third = another(firm, versions)
    with tenant_scope(firm.tenant.id):
        trial = rollouts.send_share(member=firm.bob, version=versions.second, share=10)
        services.put_live(member=firm.bob, version=third)
        trial.refresh_from_db()
        assert (trial.outcome, trial.share) == (Outcome.REPLACED, 10)
        assert selectors.rollout(firm.tenant.id) is None


def test_taking_off_ends_the_trial(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        trial = rollouts.send_share(member=firm.bob, version=versions.second, share=10)
        services.take_off(member=firm.bob)
        trial.refresh_from_db()
        assert trial.outcome == Outcome.WITHDRAWN
        assert selectors.wanted(firm.tenant.id) == []


def test_what_is_not_approved_answers_no_share(firm: Firm, versions: Versions) -> None:
    version = candidate(firm, by=firm.alice, dataset=versions.first.run.dataset)
    for share, shadow in ((5, False), (5, True), (100, False)):
        with tenant_scope(firm.tenant.id), pytest.raises(Conflict, match="is not approved"):
            rollouts.send_share(member=firm.bob, version=version, share=share, shadow=shadow)


def test_what_is_live_is_not_tried_beside_itself(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id), pytest.raises(Conflict, match="is live and answers every request"):
        rollouts.send_share(member=firm.bob, version=versions.first, share=5)


def test_nothing_is_tried_beside_nothing(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        services.take_off(member=firm.bob)
        with pytest.raises(Conflict, match="put it live instead"):
            rollouts.send_share(member=firm.bob, version=versions.second, share=5)


@pytest.mark.parametrize("share", [-1, 101, True])
def test_a_share_is_a_percentage(firm: Firm, versions: Versions, share: int) -> None:
    with tenant_scope(firm.tenant.id):
        with pytest.raises(Invalid) as refused:
            rollouts.send_share(member=firm.bob, version=versions.second, share=share)
        assert set(refused.value.fields) == {"share"}
        assert selectors.rollout(firm.tenant.id) is None


@pytest.mark.parametrize("person", ["alice", "dora", "erin"])
def test_only_approvers_send_a_share_or_withdraw_it(firm: Firm, versions: Versions, person: str) -> None:
    member = firm.people[person]
    with tenant_scope(firm.tenant.id):
        with pytest.raises(NotAllowed):
            rollouts.send_share(member=member, version=versions.second, share=5)
        rollouts.send_share(member=firm.bob, version=versions.second, share=5)
        with pytest.raises(NotAllowed):
            rollouts.withdraw(member=member, version=versions.second)
        assert selectors.rollout(firm.tenant.id) is not None


def test_a_withdrawn_trial_leaves_the_live_version_alone(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        trial = rollouts.send_share(member=firm.bob, version=versions.second, share=10)
        rollouts.withdraw(member=firm.bob, version=versions.second)
        trial.refresh_from_db()
        assert (trial.outcome, trial.ended_by, trial.share) == (Outcome.WITHDRAWN, firm.bob, 10)
        assert selectors.live_version(firm.tenant.id) == versions.first
        assert audit.events(firm.tenant.id)[0].action == "version.trial_withdrawn"
        with pytest.raises(Conflict, match="is not on trial"):
            rollouts.withdraw(member=firm.bob, version=versions.second)


def test_the_trial_of_another_version_is_not_withdrawn(firm: Firm, versions: Versions) -> None:
    with tenant_scope(firm.tenant.id):
        rollouts.send_share(member=firm.bob, version=versions.second, share=10)
        with pytest.raises(Conflict, match="is not on trial"):
            rollouts.withdraw(member=firm.bob, version=versions.first)
        assert selectors.rollout(firm.tenant.id) is not None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("one_open_rollout_per_firm", {"share": 5}),
        ("rollout_share_is_percent", {"share": 101, "shadow": True}),
        ("rollout_of_everything_is_live", {"share": 100}),
        ("rollout_ends_whole", {"share": 5, "outcome": "withdrawn"}),
    ],
)
def test_the_database_refuses(firm: Firm, versions: Versions, name: str, values: dict[str, object]) -> None:
    with tenant_scope(firm.tenant.id):
        live = selectors.live(firm.tenant.id)
        assert live is not None
        if name == "one_open_rollout_per_firm":
            rollouts.send_share(member=firm.bob, version=versions.second, share=10)
        with pytest.raises(IntegrityError, match=name), transaction.atomic():
            Rollout.objects.create(
                tenant=firm.tenant,
                version=versions.second,
                against=live,
                started_by=firm.bob,
                **values,
            )
