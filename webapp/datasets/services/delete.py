from __future__ import annotations

from django.db import transaction

from webapp.audit import services as audit
from webapp.core.errors import Conflict
from webapp.core.jobs.models import Job
from webapp.core.tenancy import firm_scope
from webapp.datasets.models import Dataset
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require


@transaction.atomic
def delete(*, member: Membership, dataset: Dataset) -> None:
    """Remove a dataset that nothing came of. Raises Conflict when a run learned from it or a version was
    made of it, and while it is being built."""
    require(member, Action.BUILD)
    if dataset.is_being_built:
        raise Conflict("This dataset is still being built; wait for it to finish, then delete it.")
    with firm_scope(dataset.tenant_id):
        learned, versions = dataset.runs.exists(), dataset.children.exists()
    if learned:
        raise Conflict("A training run learned from this dataset, so it must stay as evidence.")
    if versions:
        raise Conflict("A later version or a draft was made of this dataset; delete that one first.")
    audit.record(
        tenant_id=member.tenant_id,
        actor=member,
        action="dataset.deleted",
        target=dataset,
        sha256=dataset.sha256,
    )
    job_id = dataset.job_id
    dataset.delete()  # its examples go with it, in the database
    if job_id:
        Job.objects.filter(id=job_id).delete()
