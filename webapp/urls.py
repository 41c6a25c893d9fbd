from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", include("webapp.api.urls")),
    path("v1/", include("webapp.gateway.urls")),
    path("playground/", include("webapp.playground.urls")),
]
