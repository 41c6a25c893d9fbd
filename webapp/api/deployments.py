from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.adapters import selectors as adapters
from webapp.api.views import FirmViewSet
from webapp.core.errors import NotFound
from webapp.serving import selectors, services
from webapp.serving.models import Deployment


class DeploymentSerializer(serializers.ModelSerializer[Deployment]):
    version_name = serializers.CharField(source="version.__str__", read_only=True, help_text="name@number")
    put_live_by = serializers.CharField(source="put_live_by.label", read_only=True)

    class Meta:
        model = Deployment
        fields = ["id", "version", "version_name", "put_live_by", "live_from", "live_until"]
        read_only_fields = fields


class RollBackSerializer(serializers.Serializer[Any]):
    to = serializers.UUIDField(required=False, help_text="The version that you expect to be live again.")


class DeploymentViewSet(mixins.ListModelMixin, FirmViewSet[Deployment]):
    """What was live when. At most one adapter is live per firm."""

    serializer_class = DeploymentSerializer

    def get_queryset(self) -> QuerySet[Deployment]:
        return selectors.deployments(self.tenant_id)

    @extend_schema(responses=DeploymentSerializer)
    @action(detail=False, pagination_class=None)
    def current(self, request: Request) -> Response:
        """What is live now; 404 when nothing is."""
        live = selectors.live(self.tenant_id)
        if live is None:
            raise NotFound("Nothing is live.")
        return Response(DeploymentSerializer(live).data)

    @extend_schema(request=RollBackSerializer, responses={201: DeploymentSerializer})
    @action(detail=False, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request) -> Response:
        """Put the version live again that was live before. With `to`, only if that is the one."""
        wanted = RollBackSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        to = wanted.validated_data.get("to")
        version = adapters.version(self.tenant_id, to) if to else None
        deployment = services.roll_back(member=self.member, to=version)
        return Response(DeploymentSerializer(deployment).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses={204: None})
    @action(detail=False, methods=["post"], url_path="take-off")
    def take_off(self, request: Request) -> Response:
        """Leave the firm without a live adapter; its programs get an error that says so."""
        services.take_off(member=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)
