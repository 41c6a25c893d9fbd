"""What learned from a document, as the API tells it: see `webapp.serving.lineage`."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from webapp.serving.lineage import LearnedRun
from webapp.serving.models import Deployment


class TimeLiveSerializer(serializers.ModelSerializer[Deployment]):
    class Meta:
        model = Deployment
        fields = ["live_from", "live_until"]
        read_only_fields = fields


class LearnedRunSerializer(serializers.Serializer[LearnedRun]):
    id = serializers.UUIDField(source="run.id")
    adapter_name = serializers.CharField(source="run.adapter_name")
    state = serializers.CharField(
        source="run.job.state", help_text="queued, running, succeeded, failed, errored or cancelled"
    )
    created_at = serializers.DateTimeField(source="run.created_at")
    version = serializers.UUIDField(
        source="version.id", allow_null=True, help_text="The adapter version that came of it, if one did."
    )
    version_name = serializers.SerializerMethodField(help_text="name@number")
    version_state = serializers.CharField(
        source="version.state", allow_null=True, help_text="candidate, approved, rejected or retired"
    )
    times_live = TimeLiveSerializer(
        many=True, help_text="The latest first; the first has no end while it is live."
    )

    def get_version_name(self, learned: LearnedRun) -> str | None:
        return str(learned.version) if learned.version else None


class LearnedDatasetSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(source="dataset.id")
    name = serializers.CharField(source="dataset.__str__")
    version = serializers.IntegerField(source="dataset.version")
    state = serializers.CharField(
        source="dataset.state", help_text="draft, queued, building, ready or failed"
    )
    created_at = serializers.DateTimeField(source="dataset.created_at")
    examples = serializers.IntegerField(
        help_text="How many it has of the document; a draft has none of its own."
    )
    trained = serializers.BooleanField(help_text="False where the document is held out: measured with only.")
    withdrawn = serializers.BooleanField(help_text="Whether what it holds of it was withdrawn since.")
    runs = LearnedRunSerializer(many=True)


class LearnedFamilySerializer(serializers.Serializer[Any]):
    family = serializers.UUIDField(source="newest.family")
    to_remake = serializers.UUIDField(
        source="to_remake.id",
        allow_null=True,
        help_text="The dataset to post `without-withdrawn` to; null when there is no need to.",
    )
    without = serializers.UUIDField(
        source="without.id", allow_null=True, help_text="A later version without what was withdrawn."
    )
    versions = LearnedDatasetSerializer(many=True, help_text="The newest first.")


class LearnedSerializer(serializers.Serializer[Any]):
    live = serializers.ListField(
        source="live_ids",
        child=serializers.UUIDField(),
        help_text="Adapter versions that have learned from the document and are live.",
    )
    datasets = LearnedFamilySerializer(source="families", many=True)
