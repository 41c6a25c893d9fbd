"""The OpenAPI schema, and a page that shows it and tries it out."""

from __future__ import annotations

from typing import Any

from csp.constants import UNSAFE_INLINE
from csp.decorators import csp_update
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny

from webapp.api.authentication import ApiKeyAuthentication, FirmSessionAuthentication
from webapp.api.permissions import IsMember
from webapp.tenants.gates import gate
from webapp.tenants.permissions import Action

schema = SpectacularJSONAPIView.as_view(permission_classes=[IsMember])

# Swagger UI writes its style sheets into the page: styles, never scripts, are loosened for this page alone.
page = csp_update({"style-src": [UNSAFE_INLINE]})(
    gate(Action.VIEW)(
        SpectacularSwaggerSplitView.as_view(
            url_name="api-schema",
            authentication_classes=[],
            permission_classes=[AllowAny],  # the gate has asked already
        )
    )
)


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, made under Settings."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = FirmSessionAuthentication
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
