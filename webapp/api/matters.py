from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.tenants import matters as services
from webapp.tenants import selectors
from webapp.tenants.models import Matter


class MatterSerializer(serializers.ModelSerializer[Matter]):
    is_general = serializers.BooleanField(
        read_only=True, help_text="Where a document belongs while nobody has said otherwise."
    )

    class Meta:
        model = Matter
        fields = ["id", "name", "client", "number", "is_general", "created_at"]
        read_only_fields = fields


class NewMatterSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=services.MAX_NAME)
    client = serializers.CharField(max_length=services.MAX_NAME, default="", allow_blank=True)
    number = serializers.CharField(
        max_length=services.MAX_NUMBER,
        default="",
        allow_blank=True,
        help_text="The firm's client-matter number.",
    )


class MatterViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, FirmViewSet[Matter]):
    """What documents belong to. A matter that the caller is screened off does not exist here."""

    serializer_class = MatterSerializer

    def get_queryset(self) -> QuerySet[Matter]:
        return selectors.matters(self.tenant_id)

    def get_object(self) -> Matter:
        return selectors.matter(self.tenant_id, self.object_id)

    @extend_schema(request=NewMatterSerializer, responses={201: MatterSerializer})
    def create(self, request: Request) -> Response:
        """Open a matter."""
        wanted = NewMatterSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        matter = services.create_matter(member=self.member, **wanted.validated_data)
        return Response(MatterSerializer(matter).data, status=status.HTTP_201_CREATED)
