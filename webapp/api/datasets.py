from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.core.errors import Invalid
from webapp.datasets import selectors, services
from webapp.datasets.models import (
    Dataset,
    DatasetDocument,
    Example,
    ExampleChange,
    ExampleKind,
    Split,
    all_kinds,
)
from webapp.datasets.views.exchange import exported

MAX_SEED = 2**31 - 1


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    state = serializers.CharField(read_only=True, help_text="draft, queued, building, ready or failed")
    reason = serializers.CharField(read_only=True, help_text="Why it failed; empty otherwise.")
    created_by = serializers.CharField(source="created_by.label", read_only=True)

    class Meta:
        model = Dataset
        fields = ["id", "name", "family", "version", "parent", "state", "reason"]
        fields += ["kinds", "max_tokens", "seed", "heldout_share", "sha256"]
        fields += ["train_examples", "heldout_examples", "documents_done", "seconds_left"]
        fields += ["created_by", "created_at"]
        read_only_fields = fields


class PartSerializer(serializers.ModelSerializer[DatasetDocument]):
    id = serializers.UUIDField(source="document_id", read_only=True)
    name = serializers.CharField(source="document.name", read_only=True)
    split = serializers.CharField(read_only=True, help_text="train, heldout, or both for ready-made pairs")

    class Meta:
        model = DatasetDocument
        fields = ["id", "name", "split"]


class DatasetDetailSerializer(DatasetSerializer):
    documents = PartSerializer(source="parts", many=True, read_only=True)
    manifest = serializers.JSONField(read_only=True, help_text="What `sha256` covers besides the examples.")

    class Meta(DatasetSerializer.Meta):
        fields = [*DatasetSerializer.Meta.fields, "manifest", "documents"]
        read_only_fields = fields


class NewDatasetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    documents = serializers.ListField(child=serializers.UUIDField(), max_length=10_000)
    kinds = serializers.ListField(
        child=serializers.ChoiceField(all_kinds()),
        default=all_kinds,
        help_text="The kinds of example to make from running text.",
    )
    max_tokens = serializers.IntegerField(
        default=300, help_text="Of a passage, in the base model's tokens: from 100 to 1000."
    )
    heldout_share = serializers.FloatField(default=0.15, help_text="from 0.05 to 0.5")
    seed = serializers.IntegerField(default=0, min_value=0, max_value=MAX_SEED)


class ExampleSerializer(serializers.ModelSerializer[Example]):
    document = serializers.UUIDField(source="document_id", read_only=True)
    document_name = serializers.CharField(read_only=True)
    split = serializers.CharField(read_only=True, help_text="train or heldout")

    class Meta:
        model = Example
        fields = ["position", "split", "kind", "document", "document_name", "context", "prompt", "completion"]
        fields += ["prompt_tokens", "completion_tokens"]
        read_only_fields = fields


class ChangeSerializer(serializers.ModelSerializer[ExampleChange]):
    position = serializers.IntegerField(source="example.position", read_only=True)
    changed_by = serializers.CharField(source="changed_by.label", read_only=True)

    class Meta:
        model = ExampleChange
        fields = ["position", "excluded", "prompt", "completion", "changed_by", "changed_at"]
        read_only_fields = fields


class PositionSerializer(serializers.Serializer[Any]):
    position = serializers.IntegerField(min_value=0, max_value=MAX_SEED)


class EditSerializer(PositionSerializer):
    prompt = serializers.CharField(trim_whitespace=False, allow_blank=True)
    completion = serializers.CharField(trim_whitespace=False, allow_blank=True)


class DatasetViewSet(mixins.ListModelMixin, mixins.DestroyModelMixin, FirmViewSet[Dataset]):
    """Examples made from documents, split by document, frozen once they are built.

    A frozen version never changes: excluding or editing one of its examples begins a draft, or goes on with
    it, and freezing that draft makes the next version.
    """

    serializer_class = DatasetSerializer

    def get_queryset(self) -> QuerySet[Dataset]:
        return selectors.datasets(self.tenant_id)

    def get_object(self) -> Dataset:
        return selectors.dataset(self.tenant_id, self.object_id)

    @extend_schema(request=NewDatasetSerializer, responses={201: DatasetDetailSerializer})
    def create(self, request: Request) -> Response:
        """Make a dataset from documents that are ready; its examples follow in the background."""
        wanted = NewDatasetSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        values = dict(wanted.validated_data)
        dataset = services.create(member=self.member, document_ids=values.pop("documents"), **values)
        return Response(self._detail(dataset), status=status.HTTP_201_CREATED)

    @extend_schema(responses=DatasetDetailSerializer)
    def retrieve(self, request: Request, **_: Any) -> Response:
        return Response(self._detail(self.get_object()))

    def perform_destroy(self, instance: Dataset) -> None:
        """A draft is discarded; a version goes where no run and no version came of it."""
        services.delete(member=self.member, dataset=instance)

    @extend_schema(
        responses=ExampleSerializer(many=True),
        parameters=[
            OpenApiParameter("split", str, enum=Split.values, description="One side only."),
            OpenApiParameter("kind", str, enum=ExampleKind.values, description="One kind only."),
        ],
    )
    @action(detail=True, serializer_class=ExampleSerializer)
    def examples(self, request: Request, **_: Any) -> Response:
        """The prompts and completions, in order; of a draft, those of its parent."""
        split = _one_of(request, "split", Split.values)
        kind = _one_of(request, "kind", ExampleKind.values)
        return self.page_of(selectors.examples(self.get_object(), split=split, kind=kind), ExampleSerializer)

    @extend_schema(responses=ChangeSerializer(many=True))
    @action(detail=True, serializer_class=ChangeSerializer)
    def changes(self, request: Request, **_: Any) -> Response:
        """What a draft does to the examples of its parent."""
        found = selectors.changes(self.get_object()).select_related("example")
        return self.page_of(found, ChangeSerializer)

    @extend_schema(request=PositionSerializer, responses=DatasetDetailSerializer)
    @action(detail=True, methods=["post"])
    def exclude(self, request: Request, **_: Any) -> Response:
        """Leave an example out of the next version; the answer is the draft."""
        dataset = self.get_object()
        said = _said(PositionSerializer, request)
        draft = services.exclude(member=self.member, dataset=dataset, **said)
        return Response(self._detail(draft))

    @extend_schema(request=EditSerializer, responses=DatasetDetailSerializer)
    @action(detail=True, methods=["post"])
    def edit(self, request: Request, **_: Any) -> Response:
        """Say an example otherwise in the next version; the answer is the draft."""
        dataset = self.get_object()
        said = _said(EditSerializer, request)
        draft = services.edit(member=self.member, dataset=dataset, **said)
        return Response(self._detail(draft))

    @extend_schema(request=PositionSerializer, responses=DatasetDetailSerializer)
    @action(detail=True, methods=["post"])
    def undo(self, request: Request, **_: Any) -> Response:
        """Take back what a draft does to an example."""
        draft = self.get_object()
        services.undo(member=self.member, draft=draft, **_said(PositionSerializer, request))
        return Response(self._detail(draft))

    @extend_schema(request=None, responses=DatasetDetailSerializer)
    @action(detail=True, methods=["post"])
    def freeze(self, request: Request, **_: Any) -> Response:
        """Make a draft the next version; its examples follow in the background."""
        draft = services.freeze(member=self.member, draft=self.get_object())
        return Response(self._detail(draft))

    @extend_schema(request=None, responses=DatasetDetailSerializer)
    @action(detail=True, methods=["post"])
    def reopen(self, request: Request, **_: Any) -> Response:
        """Go on with a draft that was frozen and could not be built."""
        draft = services.reopen(member=self.member, dataset=self.get_object())
        return Response(self._detail(draft))

    @extend_schema(request=None, responses={201: DatasetDetailSerializer})
    @action(detail=True, methods=["post"], url_path="without-withdrawn")
    def without_withdrawn(self, request: Request, **_: Any) -> Response:
        """Make the next version without the documents that were withdrawn."""
        version = services.without_withdrawn(member=self.member, dataset=self.get_object())
        return Response(self._detail(version), status=status.HTTP_201_CREATED)

    @extend_schema(responses={(200, "application/jsonl"): OpenApiTypes.BINARY})
    @action(detail=True)
    def export(self, request: Request, **_: Any) -> HttpResponseBase:
        """A line that says what the dataset is, then a line for each example. It comes back as a document."""
        return exported(self.member, self.get_object())

    def _detail(self, dataset: Dataset) -> dict[str, Any]:
        parts = PartSerializer(selectors.parts(dataset), many=True).data
        return {**DatasetSerializer(dataset).data, "manifest": dataset.manifest, "documents": parts}


def _said(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    wanted = serializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def _one_of(request: Request, name: str, known: Sequence[str]) -> str:
    """A filter of the query string, empty where there is none. Raises Invalid for what is not known."""
    said = request.query_params.get(name, "")
    if said and said not in known:
        listed = " or ".join(known)
        raise Invalid(f"Choose the {name} {listed}.", fields={name: f"Write {listed}."})
    return said
