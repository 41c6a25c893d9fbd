from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.datasets import selectors as datasets
from webapp.training import selectors, services
from webapp.training.models import TrainingRun
from webapp.training.presets import PRESETS


class RunSerializer(serializers.ModelSerializer[TrainingRun]):
    state = serializers.CharField(
        source="job.state",
        read_only=True,
        help_text="queued, running, succeeded, failed, errored or cancelled",
    )
    message = serializers.CharField(
        source="job.message", read_only=True, help_text="Why it failed; empty otherwise."
    )
    phase = serializers.CharField(read_only=True, help_text="loading, before, training or saving")
    started_by = serializers.CharField(source="started_by.label", read_only=True)
    ended_at = serializers.DateTimeField(source="job.ended_at", read_only=True, allow_null=True)

    class Meta:
        model = TrainingRun
        fields = ["id", "adapter_name", "dataset", "preset", "spec", "base_model", "base_revision"]
        fields += ["state", "message", "phase", "step", "steps", "learning_rate", "tokens_per_s"]
        fields += ["seconds_left", "train_tokens", "truncated_examples"]
        fields += ["trainable_parameters", "frozen_parameters", "heldout_before", "heldout_after"]
        fields += ["seconds", "peak_bytes", "started_by", "created_at", "ended_at"]
        read_only_fields = fields


class CurveSerializer(serializers.Serializer[Any]):
    """Points `[step, loss]`, the loss in nats per label token."""

    train = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
    heldout = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class RunDetailSerializer(RunSerializer):
    curve = CurveSerializer(read_only=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "curve"]
        read_only_fields = fields


class NewRunSerializer(serializers.Serializer[Any]):
    dataset = serializers.UUIDField()
    adapter_name = serializers.CharField(help_text="Small letters, digits and hyphens.")
    preset = serializers.CharField(default="quick", help_text=", ".join(PRESETS))
    settings = serializers.DictField(
        child=serializers.JSONField(),
        default=dict,
        help_text="Overrides of the preset: rank (4 to 64), alpha, target, learning_rate, warmup_share, "
        "epochs, batch_size, max_length, max_steps, seed.",
    )


class RunViewSet(mixins.ListModelMixin, FirmViewSet[TrainingRun]):
    """Trainings of an adapter on a dataset."""

    serializer_class = RunSerializer

    def get_queryset(self) -> QuerySet[TrainingRun]:
        return selectors.runs(self.tenant_id)

    def get_object(self) -> TrainingRun:
        return selectors.run(self.tenant_id, self.object_id)

    @extend_schema(request=NewRunSerializer, responses={201: RunDetailSerializer})
    def create(self, request: Request) -> Response:
        """Queue a training. When it succeeds, its result is a new version of the adapter."""
        wanted = NewRunSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = wanted.validated_data
        run = services.start(
            member=self.member,
            dataset=datasets.dataset(self.tenant_id, values["dataset"]),
            adapter_name=values["adapter_name"],
            preset=values["preset"],
            changes=values["settings"],
        )
        return Response(_detail(run), status=status.HTTP_201_CREATED)

    @extend_schema(responses=RunDetailSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        """The run with its loss curve."""
        return Response(_detail(self.get_object()))

    @extend_schema(request=None, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_: Any) -> Response:
        """Stop the run: at once while it waits, at its next step while it trains."""
        services.cancel(member=self.member, run=self.get_object())
        return Response(_detail(self.get_object()))


def _detail(run: TrainingRun) -> dict[str, Any]:
    return {**RunSerializer(run).data, "curve": selectors.curve(run)}
