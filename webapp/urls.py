from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("webapp.core.urls")),
    path("", include("webapp.tenants.urls")),
    path("", include("webapp.documents.urls")),
    path("", include("webapp.findings.urls")),
    path("", include("webapp.datasets.urls")),
    path("", include("webapp.training.urls")),
    path("", include("webapp.adapters.urls")),
    path("", include("webapp.serving.urls")),
    path("playground/", include("webapp.playground.urls")),
    path("", include("webapp.gateway.key_urls")),
    path("v1/", include("webapp.gateway.urls")),
    path("api/v1/", include("webapp.api.urls")),
]
