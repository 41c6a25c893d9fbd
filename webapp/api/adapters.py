from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.adapters import selectors, services
from webapp.adapters.models import Adapter, AdapterVersion, Approval
from webapp.api.deployments import DeploymentSerializer
from webapp.api.rollouts import RolloutSerializer, ShareSerializer
from webapp.api.views import FirmViewSet
from webapp.serving import rollouts
from webapp.serving import selectors as serving
from webapp.serving import services as release


class AdapterSerializer(serializers.ModelSerializer[Adapter]):
    class Meta:
        model = Adapter
        fields = ["id", "name", "created_at"]
        read_only_fields = fields


class VersionSerializer(serializers.ModelSerializer[AdapterVersion]):
    name = serializers.CharField(source="__str__", read_only=True, help_text="name@number")
    adapter_name = serializers.CharField(source="adapter.name", read_only=True)
    state = serializers.CharField(read_only=True, help_text="candidate, approved, rejected or retired")
    live = serializers.SerializerMethodField()
    dataset = serializers.UUIDField(source="run.dataset_id", read_only=True)
    started_by = serializers.CharField(source="run.started_by.label", read_only=True)
    heldout_before = serializers.FloatField(source="run.heldout_before", read_only=True, allow_null=True)
    heldout_after = serializers.FloatField(source="run.heldout_after", read_only=True, allow_null=True)
    trainable_parameters = serializers.IntegerField(
        source="run.trainable_parameters", read_only=True, allow_null=True
    )
    frozen_parameters = serializers.IntegerField(
        source="run.frozen_parameters", read_only=True, allow_null=True
    )

    class Meta:
        model = AdapterVersion
        fields = ["id", "name", "adapter", "adapter_name", "number", "state", "live", "sha256", "size"]
        fields += ["run", "dataset", "started_by", "heldout_before", "heldout_after"]
        fields += ["trainable_parameters", "frozen_parameters", "created_at", "retired_at"]
        read_only_fields = fields

    @extend_schema_field(bool)
    def get_live(self, version: AdapterVersion) -> bool:
        live: AdapterVersion | None = self.context["live"]
        return version == live


class AdapterDetailSerializer(AdapterSerializer):
    versions = VersionSerializer(many=True, read_only=True)

    class Meta(AdapterSerializer.Meta):
        fields = [*AdapterSerializer.Meta.fields, "versions"]
        read_only_fields = fields


class ApprovalSerializer(serializers.ModelSerializer[Approval]):
    version_name = serializers.CharField(source="version.__str__", read_only=True, help_text="name@number")
    decision = serializers.CharField(read_only=True, help_text="approved or rejected")
    decided_by = serializers.CharField(source="decided_by.label", read_only=True)

    class Meta:
        model = Approval
        fields = ["id", "version", "version_name", "decision", "note", "decided_by", "decided_at"]
        read_only_fields = fields


class NewApprovalSerializer(serializers.Serializer[Any]):
    version = serializers.UUIDField()
    decision = serializers.CharField(help_text="approved or rejected")
    note = serializers.CharField(default="", allow_blank=True)


class AdapterViewSet(mixins.ListModelMixin, FirmViewSet[Adapter]):
    """Names under which the firm keeps versions of its house styles."""

    serializer_class = AdapterSerializer

    def get_queryset(self) -> QuerySet[Adapter]:
        return selectors.adapters(self.tenant_id)

    @extend_schema(responses=AdapterDetailSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        """The adapter with its versions, newest first."""
        adapter = selectors.adapter(self.tenant_id, self.object_id)
        versions = selectors.versions(self.tenant_id).filter(adapter=adapter)
        context = {"live": serving.live_version(self.tenant_id)}
        listed = VersionSerializer(versions, many=True, context=context).data
        return Response({**AdapterSerializer(adapter).data, "versions": listed})


class VersionViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, FirmViewSet[AdapterVersion]):
    """What each run learned, with the evidence for it."""

    serializer_class = VersionSerializer

    def get_queryset(self) -> QuerySet[AdapterVersion]:
        return selectors.versions(self.tenant_id)

    def get_object(self) -> AdapterVersion:
        return selectors.version(self.tenant_id, self.object_id)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "live": serving.live_version(self.tenant_id)}

    @extend_schema(request=None, responses={201: DeploymentSerializer})
    @action(detail=True, methods=["post"], url_path="put-live")
    def put_live(self, request: Request, **_: Any) -> Response:
        """Let this approved version answer the firm's programs, in place of what was live."""
        deployment = release.put_live(member=self.member, version=self.get_object())
        return Response(DeploymentSerializer(deployment).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=ShareSerializer, responses=RolloutSerializer)
    @action(detail=True, methods=["post"])
    def share(self, request: Request, **_: Any) -> Response:
        """Try this version on a share of the requests for the live one, or on copies of them."""
        version = self.get_object()
        wanted = ShareSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        trial = rollouts.send_share(member=self.member, version=version, **wanted.validated_data)
        return Response(RolloutSerializer(trial).data)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"])
    def withdraw(self, request: Request, **_: Any) -> Response:
        """End this version's trial: the live version answers every request again."""
        rollouts.withdraw(member=self.member, version=self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None, responses=VersionSerializer)
    @action(detail=True, methods=["post"])
    def retire(self, request: Request, **_: Any) -> Response:
        """Let this version never answer again. It cannot be taken back."""
        version = self.get_object()
        release.retire(member=self.member, version=version)
        return Response(VersionSerializer(version, context=self.get_serializer_context()).data)


class ApprovalViewSet(mixins.ListModelMixin, FirmViewSet[Approval]):
    """Decisions on versions. Nobody decides on a run they started."""

    serializer_class = ApprovalSerializer

    def get_queryset(self) -> QuerySet[Approval]:
        return selectors.approvals(self.tenant_id)

    @extend_schema(request=NewApprovalSerializer, responses={201: ApprovalSerializer})
    def create(self, request: Request) -> Response:
        """Approve or reject a version that waits for it."""
        wanted = NewApprovalSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = dict(wanted.validated_data)
        version = selectors.version(self.tenant_id, values.pop("version"))
        approval = services.decide(member=self.member, version=version, **values)
        return Response(ApprovalSerializer(approval).data, status=status.HTTP_201_CREATED)
