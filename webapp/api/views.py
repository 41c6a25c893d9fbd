"""What every resource has in common: one transaction that sees one firm, up to the last field."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import Any, TypeVar, cast

from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from webapp.core.errors import NotFound
from webapp.core.tenancy import tenant_scope
from webapp.tenants.models import Membership
from webapp.tenants.permissions import Action, require

M = TypeVar("M", bound=Model)


class FirmViewSet(GenericViewSet[M]):
    """A resource of the caller's firm. `member` is who calls; objects come through their gates."""

    parser_classes = [JSONParser]
    lookup_field = "id"
    lookup_value_converter = "uuid"

    @property
    def member(self) -> Membership:
        return cast(Membership, self.request.auth)

    @property
    def tenant_id(self) -> uuid.UUID:
        tenant_id: uuid.UUID = self.member.tenant_id
        return tenant_id

    @property
    def object_id(self) -> uuid.UUID:
        object_id: uuid.UUID = self.kwargs["id"]
        return object_id

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        # The framework answers exceptions inside dispatch, so the scope is left there too: see below.
        with ExitStack() as self._scope:
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self._scope.enter_context(tenant_scope(self.tenant_id, viewer=self.member.id))
        require(self.member, Action.VIEW)

    def page_of(self, rows: QuerySet[Any], serializer: type[BaseSerializer[Any]]) -> Response:
        """One page of rows that belong to an object of this resource."""
        page = self.paginate_queryset(cast(Any, rows))
        return self.get_paginated_response(serializer(page, many=True).data)

    def handle_exception(self, exc: Exception) -> Response:
        self._scope.__exit__(type(exc), exc, exc.__traceback__)  # undo what was written, then answer
        return super().handle_exception(exc)


class Nowhere(APIView):
    """Any other path below the API: JSON, as everything here."""

    @extend_schema(exclude=True)
    def get(self, request: Request) -> Response:
        raise NotFound("There is no such route; /api/v1/docs/ lists all of them.")

    post = put = patch = delete = get
