from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from webapp.api.views import FirmViewSet
from webapp.core.errors import Invalid, NotFound
from webapp.documents import selectors as documents
from webapp.documents.models import Document
from webapp.findings import selectors, services
from webapp.findings.models import Finding, FindingKind, FindingState

KINDS = ", ".join(FindingKind.values)


class FindingSerializer(serializers.ModelSerializer[Finding]):
    kind = serializers.CharField(read_only=True, help_text=KINDS)
    state = serializers.CharField(read_only=True, help_text="open, accepted, ignored or redacted")
    start = serializers.IntegerField(
        read_only=True, help_text="Characters from the beginning of the document's text."
    )
    end = serializers.IntegerField(
        read_only=True, help_text="`start` itself for a comment or deleted words: they are not in the text."
    )
    decided_by = serializers.CharField(source="decided_by.label", read_only=True, allow_null=True)

    class Meta:
        model = Finding
        fields = ["id", "kind", "start", "end", "page", "state", "decided_by", "decided_at"]
        read_only_fields = fields


class DecisionSerializer(serializers.Serializer[Any]):
    decision = serializers.CharField(help_text="accepted, ignored or redacted; open undoes what was decided")
    findings = serializers.ListField(
        child=serializers.UUIDField(), required=False, help_text="Which findings; or give a kind."
    )
    kind = serializers.CharField(
        required=False, help_text=f"All of a kind that nobody has decided on: {KINDS}."
    )


class DecidedSerializer(serializers.Serializer[Any]):
    changed = serializers.IntegerField(help_text="How many findings are decided otherwise than before.")


class FindingViewSet(mixins.ListModelMixin, FirmViewSet[Finding]):
    """What a person must be warned of before a document becomes training data, and what was decided."""

    serializer_class = FindingSerializer

    @property
    def document(self) -> Document:
        document_id: uuid.UUID = self.kwargs["document_id"]
        return documents.document(self.tenant_id, document_id)

    def get_queryset(self) -> QuerySet[Finding]:
        if getattr(self, "swagger_fake_view", False):
            return Finding.objects.none()
        return selectors.findings_of(self.document)

    @extend_schema(request=DecisionSerializer, responses=DecidedSerializer)
    @action(detail=False, methods=["post"])
    def decide(self, request: Request, **_: Any) -> Response:
        """Accept, ignore or redact findings of the document, some or all of a kind, or open them again."""
        document = self.document
        wanted = DecisionSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        said = wanted.validated_data
        if ("findings" in said) == ("kind" in said):
            raise Invalid(
                "Name the findings, or one kind of them.",
                fields={"findings": "Give this or a kind, not both."},
            )
        if "kind" in said:
            changed = services.decide_all(
                member=self.member,
                kind=said["kind"],
                decision=said["decision"],
                document_ids=[document.id],
            )
        else:
            chosen = list(selectors.findings_of(document).filter(id__in=said["findings"]))
            if len(chosen) != len(set(said["findings"])):
                raise NotFound
            if said["decision"] == FindingState.OPEN:
                changed = services.undo(member=self.member, findings=chosen)
            else:
                changed = services.decide(member=self.member, findings=chosen, decision=said["decision"])
        return Response({"changed": changed})
