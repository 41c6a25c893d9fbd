from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers

from webapp.api.views import FirmViewSet
from webapp.core.errors import Invalid
from webapp.usage import selectors
from webapp.usage.models import UsageHour


class UsageSerializer(serializers.ModelSerializer[UsageHour]):
    key_name = serializers.CharField(source="key.name", read_only=True, allow_null=True, default=None)
    version_name = serializers.CharField(
        source="version.__str__", read_only=True, allow_null=True, default=None, help_text="name@number"
    )

    class Meta:
        model = UsageHour
        fields = ["id", "hour", "key", "key_name", "version", "version_name", "requests", "errors"]
        fields += ["tokens_in", "tokens_out", "tokens_unknown"]
        read_only_fields = fields
        extra_kwargs = {
            "hour": {"help_text": "When it begins; a request belongs to the hour in which it began."},
            "key": {"help_text": "The API key; null for the playground."},
            "version": {"help_text": "The adapter version that answered; null for the base, or for none."},
            "errors": {"help_text": "Of the requests, those that ended with a status of 400 or above."},
            "tokens_unknown": {
                "help_text": "The most that requests may have used whose process died or whose client left "
                "before the engine had told; they count towards a budget."
            },
        }


@extend_schema_view(
    list=extend_schema(
        parameters=[
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="Hours that begin then or later."),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="Hours that begin before then."),
        ]
    )
)
class UsageViewSet(mixins.ListModelMixin, FirmViewSet[UsageHour]):
    """What was asked of the firm's adapters: sums by hour, API key and adapter version, the latest first."""

    serializer_class = UsageSerializer

    def get_queryset(self) -> QuerySet[UsageHour]:
        hours = selectors.hours(self.tenant_id).select_related("key", "version__adapter")
        if since := self._moment("since"):
            hours = hours.filter(hour__gte=since)
        if until := self._moment("until"):
            hours = hours.filter(hour__lt=until)
        return hours.order_by("-hour", "id")

    def _moment(self, name: str) -> datetime | None:
        asked = self.request.query_params.get(name, "")
        if not asked:
            return None
        try:
            found = parse_datetime(asked)
        except ValueError:
            found = None
        if found is None:
            raise Invalid(
                f"“{name}” is not a time; write one such as 2026-11-24T15:00:00Z.",
                fields={name: "Write a date and time (ISO 8601)."},
            )
        return found if timezone.is_aware(found) else timezone.make_aware(found)
