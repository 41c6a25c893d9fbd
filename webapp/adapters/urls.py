from django.urls import path

from webapp.adapters import views

urlpatterns = [
    path("adapters/versions/<uuid:version_id>/decide/", views.decide, name="version-decide"),
]
