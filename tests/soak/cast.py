"""The firms of the soak: three keys and three marked versions each, and what may answer at any moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import Firm, make_firm
from tests.engines.marks import make_marked
from tests.live import learned
from webapp.adapters.models import AdapterVersion
from webapp.core.tenancy import tenant_scope
from webapp.gateway.services import make_key
from webapp.serving import rollouts, selectors, services
from webapp.tenants.models import ApiKey, Role

KEYS_A_FIRM, VERSIONS_A_FIRM = 3, 3


@dataclass(frozen=True)
class Key:
    id: str
    secret: str


@dataclass
class SoakFirm:
    """`answers` says from when on which versions (by label) may answer; the last entry holds now."""

    firm: Firm
    base: Path
    folder: Path
    tokens: Iterator[tuple[int, str]]
    keys: list[Key] = field(default_factory=list)
    marks: dict[str, str] = field(default_factory=dict)  # what a version answers with, by its label
    versions: list[AdapterVersion] = field(default_factory=list)
    answers: list[tuple[float, set[str]]] = field(default_factory=list)
    changing: threading.Lock = field(default_factory=threading.Lock)

    def new_version(self) -> AdapterVersion:
        token, mark = next(self.tokens)
        files = make_marked(self.base, self.folder / mark, token)
        version = learned(self.firm, files, by=self.firm.alice, approver=self.firm.bob)
        self.versions.append(version)
        self.marks[str(version)] = mark
        return version

    def may_answer(self, began: float, ended: float) -> set[str]:
        """The labels that could have answered a request that was under way in this time."""
        found: set[str] = set()
        for at, (since, labels) in enumerate(self.answers):
            until = self.answers[at + 1][0] if at + 1 < len(self.answers) else float("inf")
            if since <= ended and until >= began:
                found |= labels
        return found

    def change(self, labels: set[str], act: Callable[[], object]) -> None:
        """Make a change of what answers: before it and while it is made the old may answer, then `labels`."""
        old = self.answers[-1][1] if self.answers else set()
        self.answers.append((time.monotonic(), old | labels))
        with tenant_scope(self.firm.tenant.id):
            act()
        self.answers.append((time.monotonic(), labels))

    @property
    def live(self) -> AdapterVersion:
        with tenant_scope(self.firm.tenant.id):
            found = selectors.live_version(self.firm.tenant.id)
        assert found is not None
        return found

    def put_live(self, version: AdapterVersion) -> None:
        self.change({str(version)}, lambda: services.put_live(member=self.firm.bob, version=version))

    def try_out(self, version: AdapterVersion, share: int) -> None:
        labels = {str(self.live), str(version)}
        self.change(labels, lambda: rollouts.send_share(member=self.firm.bob, version=version, share=share))

    def withdraw(self, version: AdapterVersion) -> None:
        self.change({str(self.live)}, lambda: rollouts.withdraw(member=self.firm.bob, version=version))

    def roll_back(self, to: AdapterVersion) -> None:
        self.change({str(to)}, lambda: services.roll_back(member=self.firm.bob, to=to))

    def retire(self, version: AdapterVersion) -> None:
        with tenant_scope(self.firm.tenant.id):
            services.retire(member=self.firm.bob, version=version)
        self.versions.remove(version)


def make_cast(base: Path, folder: Path, tokens: Iterator[tuple[int, str]], count: int) -> list[SoakFirm]:
    firms = []
    for number in range(count):
        firm = make_firm(f"Firm{number}", {"alice": Role.STAFF, "bob": Role.APPROVER})
        one = SoakFirm(firm, base, folder, tokens)
        for _ in range(VERSIONS_A_FIRM):
            one.new_version()
        one.put_live(one.versions[0])
        with tenant_scope(firm.tenant.id):
            made: list[tuple[ApiKey, str]] = [
                make_key(member=firm.alice, name=f"program {at}") for at in range(KEYS_A_FIRM)
            ]
        one.keys = [Key(str(key.id), secret) for key, secret in made]
        firms.append(one)
    return firms
