from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.errors import body
from webapp.api.learned import LearnedSerializer
from webapp.api.views import FirmViewSet
from webapp.core.errors import AppError, Invalid
from webapp.documents import selectors, services
from webapp.documents.layout import BlockKind
from webapp.documents.models import Document
from webapp.serving.lineage import learned_from
from webapp.tenants import selectors as tenants
from webapp.tenants.models import Matter


class DocumentMatterSerializer(serializers.ModelSerializer[Matter]):
    class Meta:
        model = Matter
        fields = ["id", "name", "client", "number"]
        read_only_fields = fields


class DocumentSerializer(serializers.ModelSerializer[Document]):
    state = serializers.CharField(
        read_only=True, help_text="queued, reading, refused, ready, columns, opened or withdrawn"
    )
    reason = serializers.CharField(read_only=True, help_text="Why it was refused; empty otherwise.")
    matter = DocumentMatterSerializer(read_only=True)
    withdrawn = serializers.SerializerMethodField(help_text="Why it was withdrawn; null while it is not.")
    near_duplicates = serializers.SerializerMethodField(
        help_text="Documents that share it say almost the same; null where there is no other."
    )
    uploaded_by = serializers.CharField(source="uploaded_by.label", read_only=True)

    class Meta:
        model = Document
        fields = ["id", "name", "state", "reason", "matter", "kind", "size", "sha256", "pages", "words"]
        fields += ["pairs", "ocr_confidence", "near_duplicates", "parent", "already_here", "withdrawn"]
        fields += ["uploaded_by", "created_at"]
        read_only_fields = fields

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_near_duplicates(self, document: Document) -> uuid.UUID | None:
        # A group of which the caller sees one document alone would tell what a hidden one says.
        return document.near_duplicates if selectors.near_duplicates(document).exists() else None

    def get_withdrawn(self, document: Document) -> str | None:
        return document.withdrawn_reason if document.withdrawn_at else None


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.ListField(
        child=serializers.FileField(), help_text="One part named “file” for each file."
    )
    matter = serializers.UUIDField(required=False, help_text="The firm's general one when it is left out.")


class UploadResultSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(
        allow_null=True,
        help_text="The document's, or of the one with the same bytes; null when refused.",
    )
    name = serializers.CharField()
    state = serializers.CharField(help_text="queued, refused, or duplicate: the same bytes are here already")
    reason = serializers.CharField()


class UploadResultsSerializer(serializers.Serializer[Any]):
    results = UploadResultSerializer(many=True)


class DocumentTextSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(help_text="Paragraphs are apart by blank lines; empty until it is read.")


class BlockSerializer(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text=", ".join(kind.value for kind in BlockKind))
    text = serializers.CharField()
    page = serializers.IntegerField()
    level = serializers.IntegerField(help_text="A heading's depth from 1; else 0.")


class LayoutSerializer(serializers.Serializer[Any]):
    blocks = BlockSerializer(many=True)


class MoveSerializer(serializers.Serializer[Any]):
    matter = serializers.UUIDField()


class ColumnsSerializer(serializers.Serializer[Any]):
    prompt = serializers.CharField(help_text="The column that holds what is asked.")
    completion = serializers.CharField(help_text="The column that holds how the house answers.")


class WithdrawSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=2000)


class DocumentViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, FirmViewSet[Document]
):
    """Files of the firm and the text found in them."""

    serializer_class = DocumentSerializer
    parser_classes = [MultiPartParser]

    def get_queryset(self) -> QuerySet[Document]:
        return selectors.documents(self.tenant_id)

    def get_object(self) -> Document:
        return selectors.document(self.tenant_id, self.object_id)

    @extend_schema(
        request={"multipart/form-data": UploadSerializer}, responses={201: UploadResultsSerializer}
    )
    def create(self, request: Request) -> Response:
        """Upload one or more files. Each has its own result: a refused one costs itself alone."""
        files = request.FILES.getlist("file")
        if not files:
            raise Invalid(
                "Send at least one file, as a part named “file”.", fields={"file": "There is no file."}
            )
        matter = self._matter(request.POST.get("matter"))
        results, problems = [], []
        for file in files:
            try:
                results.append(self._upload(file, matter))
            except AppError as error:
                problems.append(error)
                results.append(_refused(file.name or "unnamed", error))
        if len(problems) == len(files):
            first = problems[0]
            refusal = body(first.code, first.message, first.fields)
            return Response({**refusal, "results": results}, status=first.status)
        return Response({"results": results}, status=status.HTTP_201_CREATED)

    def perform_destroy(self, instance: Document) -> None:
        services.delete(member=self.member, document=instance)

    @extend_schema(responses=DocumentTextSerializer)
    @action(detail=True)
    def text(self, request: Request, **_: Any) -> Response:
        """The text that was read from the document."""
        return Response({"text": selectors.text(self.get_object())})

    @extend_schema(responses=LayoutSerializer)
    @action(detail=True)
    def layout(self, request: Request, **_: Any) -> Response:
        """The text as headings, paragraphs, quotes and footnotes, with the page each is on."""
        found = selectors.layout(self.get_object())
        return Response({"blocks": [asdict(block) for block in found.blocks]})

    @extend_schema(responses=LearnedSerializer)
    @action(detail=True)
    def learned(self, request: Request, **_: Any) -> Response:
        """What learned from the document, and from what came in it: datasets, runs and adapter versions."""
        return Response(LearnedSerializer(learned_from(self.get_object())).data)

    @extend_schema(request=ColumnsSerializer, responses=DocumentSerializer)
    @action(detail=True, methods=["post"], parser_classes=[JSONParser])
    def columns(self, request: Request, **_: Any) -> Response:
        """Say which columns of a table are a pair's; it is ready then."""
        document = self.get_object()
        services.choose_columns(member=self.member, document=document, **_checked(ColumnsSerializer, request))
        return Response(DocumentSerializer(document).data)

    @extend_schema(request=MoveSerializer, responses=DocumentSerializer)
    @action(detail=True, methods=["post"], parser_classes=[JSONParser])
    def move(self, request: Request, **_: Any) -> Response:
        """Put the document into another matter."""
        document = self.get_object()
        matter = tenants.matter(self.tenant_id, _checked(MoveSerializer, request)["matter"])
        services.move(member=self.member, documents=[document], matter=matter)
        return Response(DocumentSerializer(document).data)

    @extend_schema(request=WithdrawSerializer, responses=DocumentSerializer)
    @action(detail=True, methods=["post"], parser_classes=[JSONParser])
    def withdraw(self, request: Request, **_: Any) -> Response:
        """Let no new dataset be made from the document, nor from what came in it. What has learned from it
        stays as it is."""
        document = self.get_object()
        services.withdraw(member=self.member, document=document, **_checked(WithdrawSerializer, request))
        return Response(DocumentSerializer(document).data)

    @extend_schema(request=None, responses=DocumentSerializer)
    @action(detail=True, methods=["post"], parser_classes=[JSONParser])
    def restore(self, request: Request, **_: Any) -> Response:
        """Take a withdrawal back."""
        document = self.get_object()
        services.restore(member=self.member, document=document)
        return Response(DocumentSerializer(document).data)

    def _upload(self, file: UploadedFile[Any], matter: Matter) -> dict[str, Any]:
        # One byte more than allowed is enough for the service to refuse a file that is far larger.
        data = file.read(settings.MAX_UPLOAD_BYTES + 1)
        document = services.upload(member=self.member, name=file.name or "", data=data, matter=matter)
        fields = DocumentSerializer(document).data
        return {name: fields[name] for name in ("id", "name", "state", "reason")}

    def _matter(self, text: str | None) -> Matter:
        if not text:
            return tenants.general_matter(self.tenant_id)
        try:
            return tenants.matter(self.tenant_id, uuid.UUID(text))
        except ValueError:
            raise Invalid("Name the matter by its id.", fields={"matter": "This is not an id."}) from None


def _refused(name: str, error: AppError) -> dict[str, Any]:
    same = error.document.id if isinstance(error, services.Duplicate) else None
    return {
        "id": same,
        "name": name,
        "state": "duplicate" if same else "refused",
        "reason": error.message,
    }


def _checked(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """What a request says, once it has the right shape."""
    wanted = serializer(data=request.data)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)
