from django.urls import URLPattern, URLResolver, include, path

from webapp.usage import trials

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("webapp.core.urls")),
    path("", include("webapp.tenants.urls")),
    path("", include("webapp.documents.urls")),
    path("", include("webapp.findings.urls")),
    path("", include("webapp.datasets.urls")),
    path("", include("webapp.training.urls")),
    path("", include("webapp.adapters.urls")),
    path("", include("webapp.serving.urls")),
    # A part of a page of `serving`, which lies below `usage` and cannot ask it.
    path("adapters/versions/<uuid:version_id>/answered/", trials.trial, name="version-answered"),
    path("playground/", include("webapp.playground.urls")),
    path("", include("webapp.usage.urls")),
    path("", include("webapp.gateway.key_urls")),
    path("v1/", include("webapp.gateway.urls")),
    path("api/v1/", include("webapp.api.urls")),
]
