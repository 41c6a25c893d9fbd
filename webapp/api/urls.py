from django.urls import path, re_path
from rest_framework.routers import DefaultRouter

from webapp.api import docs
from webapp.api.adapters import AdapterViewSet, ApprovalViewSet, VersionViewSet
from webapp.api.datasets import DatasetViewSet
from webapp.api.deployments import DeploymentViewSet
from webapp.api.documents import DocumentViewSet
from webapp.api.findings import FindingViewSet
from webapp.api.matters import MatterViewSet
from webapp.api.rollouts import RolloutViewSet
from webapp.api.runs import RunViewSet
from webapp.api.usage import UsageViewSet
from webapp.api.views import Nowhere

router = DefaultRouter(use_regex_path=False)
router.include_format_suffixes = False
router.root_view_name = "api-root"
router.register("matters", MatterViewSet, basename="api-matter")
router.register("documents", DocumentViewSet, basename="api-document")
router.register("documents/<uuid:document_id>/findings", FindingViewSet, basename="api-finding")
router.register("datasets", DatasetViewSet, basename="api-dataset")
router.register("runs", RunViewSet, basename="api-run")
router.register("adapters", AdapterViewSet, basename="api-adapter")
router.register("versions", VersionViewSet, basename="api-version")
router.register("approvals", ApprovalViewSet, basename="api-approval")
router.register("deployments", DeploymentViewSet, basename="api-deployment")
router.register("usage", UsageViewSet, basename="api-usage")
router.register("rollouts", RolloutViewSet, basename="api-rollout")

urlpatterns = [
    *router.urls,
    path("schema/", docs.schema, name="api-schema"),
    path("docs/", docs.page, name="api-docs"),
    re_path(r"^.*$", Nowhere.as_view(), name="api-nowhere"),
]
