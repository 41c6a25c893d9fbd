from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.core.jobs import services as jobs
from webapp.datasets import selectors as datasets
from webapp.training import selectors, services
from webapp.training.models import Phase, TrainingRun
from webapp.training.presets import PRESETS
from webapp.training.wording import SETTINGS, Setting


def _choices(setting: Setting) -> str:
    return f" One of {', '.join(setting.choices)}." if setting.choices else ""


SETTINGS_HELP = "What overrides the preset. " + " ".join(
    f"`{name}`: {setting.help}{_choices(setting)}" for name, setting in SETTINGS.items()
)


class RunSerializer(serializers.ModelSerializer[TrainingRun]):
    state = serializers.CharField(
        source="job.state",
        read_only=True,
        help_text="queued, running, succeeded, failed, errored or cancelled",
    )
    message = serializers.CharField(
        source="job.message",
        read_only=True,
        help_text="Why it failed, or why it waits to go on; empty otherwise.",
    )
    phase = serializers.CharField(read_only=True, help_text=f"While it runs: {', '.join(Phase.values)}.")
    spec = serializers.DictField(read_only=True, help_text="Every setting of the run.")
    cancel_requested = serializers.BooleanField(source="job.cancel_requested", read_only=True)
    not_before = serializers.DateTimeField(
        source="job.not_before",
        read_only=True,
        allow_null=True,
        help_text="When a run that had to wait goes on at the earliest.",
    )
    started_by = serializers.CharField(source="started_by.label", read_only=True)
    ended_at = serializers.DateTimeField(source="job.ended_at", read_only=True, allow_null=True)

    class Meta:
        model = TrainingRun
        fields = ["id", "adapter_name", "dataset", "preset", "spec", "base_model", "base_revision"]
        fields += ["state", "message", "not_before", "cancel_requested", "keep_best", "phase", "notice"]
        fields += ["mode", "precision", "prepared_share", "step", "steps", "learning_rate", "tokens_per_s"]
        fields += ["seconds_left", "checkpoint_step", "checkpoint_at", "train_tokens", "truncated_examples"]
        fields += ["trainable_parameters", "frozen_parameters", "heldout_before", "heldout_after"]
        fields += ["best_step", "stopped_early", "seconds", "memory_bytes", "peak_bytes"]
        fields += ["started_by", "created_at", "ended_at"]
        read_only_fields = fields


class CurveSerializer(serializers.Serializer[Any]):
    """Points `[step, loss]`, the loss in nats per label token."""

    train = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
    heldout = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class AnswerSerializer(serializers.Serializer[Any]):
    step = serializers.IntegerField(help_text="After which step; 0 is the base model's answer.")
    text = serializers.CharField(help_text="Cut when it is long.")


class AnsweredPromptSerializer(serializers.Serializer[Any]):
    """One of the fixed prompts, which are answered each time the held-out loss is measured."""

    place = serializers.IntegerField(help_text="Among the run's prompts, from 0.")
    prompt = serializers.CharField()
    expected = serializers.CharField(help_text="What the house wrote.")
    answers = AnswerSerializer(many=True)


class RunDetailSerializer(RunSerializer):
    position = serializers.IntegerField(
        read_only=True,
        allow_null=True,
        help_text="In the queue of all firms' runs: 1 is the next. Null for a run that waits for no turn.",
    )
    curve = CurveSerializer(read_only=True)
    answers = AnsweredPromptSerializer(many=True, read_only=True)

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "position", "curve", "answers"]
        read_only_fields = fields


class NewRunSerializer(serializers.Serializer[Any]):
    dataset = serializers.UUIDField()
    adapter_name = serializers.CharField(help_text="Small letters, digits and hyphens.")
    preset = serializers.CharField(
        default="quick",
        help_text="Chooses every setting by the dataset's size and the device. "
        + " ".join(f"`{preset.name}`: {preset.says}" for preset in PRESETS.values()),
    )
    settings = serializers.DictField(child=serializers.JSONField(), default=dict, help_text=SETTINGS_HELP)
    base = serializers.CharField(
        required=False, help_text="A registered base model; the one that is served when left out."
    )


class CancelSerializer(serializers.Serializer[Any]):
    keep_best = serializers.BooleanField(
        default=False,
        help_text="Whether the best adapter so far becomes a version; one that has measured none keeps none.",
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
            base=values.get("base"),
        )
        return Response(_detail(run), status=status.HTTP_201_CREATED)

    @extend_schema(responses=RunDetailSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        """The run with its place in the queue, its loss curve, and its answers to the fixed prompts."""
        return Response(_detail(self.get_object()))

    @extend_schema(request=CancelSerializer, responses=RunDetailSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, **_: Any) -> Response:
        """Stop the run: at once while it waits, at its next step while it trains."""
        run = self.get_object()
        said = CancelSerializer(data=request.data)
        said.is_valid(raise_exception=True)
        services.cancel(member=self.member, run=run, **said.validated_data)
        return Response(_detail(self.get_object()))


def _detail(run: TrainingRun) -> dict[str, Any]:
    return {
        **RunSerializer(run).data,
        "position": jobs.position(run.job),
        "curve": selectors.curve(run),
        "answers": AnsweredPromptSerializer(selectors.answers(run), many=True).data,
    }
