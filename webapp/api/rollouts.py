from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.core.errors import NotFound
from webapp.serving import selectors
from webapp.serving.models import Rollout
from webapp.serving.selectors import ShadowNumbers


class RolloutSerializer(serializers.ModelSerializer[Rollout]):
    version_name = serializers.CharField(source="version.__str__", read_only=True, help_text="name@number")
    against = serializers.UUIDField(
        source="against.version_id", read_only=True, help_text="The live version."
    )
    against_name = serializers.CharField(
        source="against.version.__str__", read_only=True, help_text="name@number"
    )
    started_by = serializers.CharField(source="started_by.label", read_only=True)
    ended_by = serializers.CharField(source="ended_by.label", read_only=True, allow_null=True)
    outcome = serializers.CharField(
        read_only=True, help_text="promoted, withdrawn or replaced; empty while it is open"
    )

    class Meta:
        model = Rollout
        fields = ["id", "version", "version_name", "against", "against_name", "share", "shadow"]
        fields += ["started_by", "started_at", "ended_by", "ended_at", "outcome"]
        read_only_fields = fields


class CopiesSerializer(serializers.Serializer[ShadowNumbers]):
    """What the copies of a trial in the shadow came to."""

    answered = serializers.IntegerField()
    failed = serializers.IntegerField(source="errors")
    median = serializers.FloatField(allow_null=True, help_text="Milliseconds to the whole answer.")
    live_median = serializers.FloatField(allow_null=True, help_text="The same of the live version.")
    length = serializers.FloatField(allow_null=True, help_text="Characters of an answer, on average.")
    live_length = serializers.FloatField(allow_null=True, help_text="The same of the live version.")
    compared = serializers.IntegerField(help_text="Those asked at temperature 0.")
    same = serializers.IntegerField(help_text="Of the compared ones, word for word.")


class CurrentRolloutSerializer(RolloutSerializer):
    copies = serializers.SerializerMethodField()

    class Meta(RolloutSerializer.Meta):
        fields = [*RolloutSerializer.Meta.fields, "copies"]
        read_only_fields = fields

    @extend_schema_field(CopiesSerializer)
    def get_copies(self, rollout: Rollout) -> Any:
        return CopiesSerializer(selectors.shadow_numbers(rollout)).data


class ShareSerializer(serializers.Serializer[Any]):
    share = serializers.IntegerField(
        min_value=0, max_value=100, help_text="Percent; 100 that are no copies put the version live."
    )
    shadow = serializers.BooleanField(default=False, help_text="Answer copies, for nobody to read.")


class RolloutViewSet(mixins.ListModelMixin, FirmViewSet[Rollout]):
    """Which versions were tried beside the live one, on which share of the requests; one at a time."""

    serializer_class = RolloutSerializer

    def get_queryset(self) -> QuerySet[Rollout]:
        return selectors.rollouts(self.tenant_id)

    @extend_schema(responses=CurrentRolloutSerializer)
    @action(detail=False, pagination_class=None)
    def current(self, request: Request) -> Response:
        """The trial that is open, with what its copies came to; 404 when none is."""
        rollout = selectors.rollout(self.tenant_id)
        if rollout is None:
            raise NotFound("No version is on trial.")
        return Response(CurrentRolloutSerializer(rollout).data)
