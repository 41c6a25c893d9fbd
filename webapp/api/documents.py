from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.errors import body
from webapp.api.views import FirmViewSet
from webapp.core.errors import AppError, Invalid
from webapp.documents import selectors, services
from webapp.documents.models import Document


class DocumentSerializer(serializers.ModelSerializer[Document]):
    state = serializers.CharField(read_only=True, help_text="queued, reading, ready or refused")
    reason = serializers.CharField(read_only=True, help_text="Why it was refused; empty otherwise.")
    uploaded_by = serializers.CharField(source="uploaded_by.label", read_only=True)

    class Meta:
        model = Document
        fields = ["id", "name", "state", "reason", "kind", "size", "sha256", "pages", "words"]
        fields += ["uploaded_by", "created_at"]
        read_only_fields = fields


class UploadSerializer(serializers.Serializer[Any]):
    file = serializers.ListField(
        child=serializers.FileField(), help_text="One part named “file” for each file."
    )


class UploadResultSerializer(serializers.Serializer[Any]):
    id = serializers.UUIDField(allow_null=True, help_text="The document's; null when it was refused.")
    name = serializers.CharField()
    state = serializers.CharField()
    reason = serializers.CharField()


class UploadResultsSerializer(serializers.Serializer[Any]):
    results = UploadResultSerializer(many=True)


class DocumentTextSerializer(serializers.Serializer[Any]):
    text = serializers.CharField(help_text="Paragraphs are apart by blank lines; empty until it is read.")


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
        results, problems = [], []
        for file in files:
            try:
                results.append(self._upload(file))
            except AppError as error:
                name = file.name or "unnamed"
                problems.append(error)
                results.append({"id": None, "name": name, "state": "refused", "reason": error.message})
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

    def _upload(self, file: UploadedFile[Any]) -> dict[str, Any]:
        # One byte more than allowed is enough for the service to refuse a file that is far larger.
        data = file.read(settings.MAX_UPLOAD_BYTES + 1)
        document = services.upload(member=self.member, name=file.name or "", data=data)
        fields = DocumentSerializer(document).data
        return {name: fields[name] for name in ("id", "name", "state", "reason")}
