from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

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

    @extend_schema(request=None, responses={204: None})
    @action(detail=False, methods=["post"], url_path="take-off")
    def take_off(self, request: Request) -> Response:
        """Leave the firm without a live adapter; its programs get an error that says so."""
        services.take_off(member=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)
