"""A matter with everything a firm has in it, and members screened off it."""

from __future__ import annotations

from tests.conftest import Firm
from webapp.core.tenancy import firm_scope
from webapp.datasets.models import Dataset, DatasetMatter
from webapp.documents.models import Document
from webapp.tenants import matters
from webapp.tenants.models import Matter, Membership, Screen

NAME = "Smith v. Jones"


def into_matter(firm: Firm, name: str = NAME) -> Matter:
    """A matter with all of the firm's documents that are still in “General”; their datasets record it."""
    with firm_scope(firm.tenant.id):
        matter = matters.create_matter(member=next(iter(firm.people.values())), name=name)
        moved = Document.objects.filter(matter__is_general=True)
        datasets = set(Dataset.objects.filter(memberships__document__in=moved))
        moved.update(matter=matter)
        for dataset in datasets:
            DatasetMatter.objects.get_or_create(tenant=firm.tenant, dataset=dataset, matter=matter)
    return matter


def screen_off(firm: Firm, *people: Membership, name: str = NAME) -> Screen:
    """The admin screens these people off the matter; returns the last screen."""
    with firm_scope(firm.tenant.id):
        matter = Matter.objects.get(name=name)
        made = [
            matters.screen(member=firm.dora, matter=matter, person=person, reason="Acted for Jones.")
            for person in people
        ]
    return made[-1]
