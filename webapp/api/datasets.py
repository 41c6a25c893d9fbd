from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.core.errors import Invalid
from webapp.datasets import selectors, services
from webapp.datasets.models import Dataset, DatasetDocument, Example, Split

MAX_SEED = 2**31 - 1


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    state = serializers.CharField(read_only=True, help_text="queued, building, ready or failed")
    reason = serializers.CharField(read_only=True, help_text="Why it failed; empty otherwise.")
    created_by = serializers.CharField(source="created_by.label", read_only=True)

    class Meta:
        model = Dataset
        fields = ["id", "name", "state", "reason", "seed", "heldout_share", "sha256"]
        fields += ["train_examples", "heldout_examples", "created_by", "created_at"]
        read_only_fields = fields


class PartSerializer(serializers.ModelSerializer[DatasetDocument]):
    id = serializers.UUIDField(source="document_id", read_only=True)
    name = serializers.CharField(source="document.name", read_only=True)
    split = serializers.CharField(read_only=True, help_text="train or heldout")

    class Meta:
        model = DatasetDocument
        fields = ["id", "name", "split"]


class DatasetDetailSerializer(DatasetSerializer):
    documents = PartSerializer(source="parts", many=True, read_only=True)

    class Meta(DatasetSerializer.Meta):
        fields = [*DatasetSerializer.Meta.fields, "documents"]
        read_only_fields = fields


class NewDatasetSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=200)
    documents = serializers.ListField(child=serializers.UUIDField(), max_length=10_000)
    heldout_share = serializers.FloatField(default=0.15, help_text="from 0.05 to 0.5")
    seed = serializers.IntegerField(default=0, min_value=0, max_value=MAX_SEED)


class ExampleSerializer(serializers.ModelSerializer[Example]):
    document = serializers.UUIDField(source="document_id", read_only=True)
    document_name = serializers.CharField(source="document.name", read_only=True)
    split = serializers.CharField(read_only=True, help_text="train or heldout")

    class Meta:
        model = Example
        fields = ["position", "split", "kind", "document", "document_name", "prompt", "completion"]
        read_only_fields = fields


class DatasetViewSet(mixins.ListModelMixin, FirmViewSet[Dataset]):
    """Examples made from documents, split by document, frozen once they are built."""

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

    @extend_schema(
        responses=ExampleSerializer(many=True),
        parameters=[OpenApiParameter("split", str, enum=Split.values, description="One side only.")],
    )
    @action(detail=True, serializer_class=ExampleSerializer)
    def examples(self, request: Request, **_: Any) -> Response:
        """The prompts and completions, in order."""
        split = request.query_params.get("split", "")
        if split and split not in Split.values:
            sides = " or ".join(Split.values)
            raise Invalid(f"Choose the split {sides}.", fields={"split": f"Write {sides}."})
        return self.page_of(selectors.examples(self.get_object(), split=split), ExampleSerializer)

    def _detail(self, dataset: Dataset) -> dict[str, Any]:
        parts = PartSerializer(selectors.parts(dataset), many=True).data
        return {**DatasetSerializer(dataset).data, "documents": parts}
