from django.urls import path

from webapp.serving import views
from webapp.serving.example_tokens import example_tokens
from webapp.serving.home import home
from webapp.serving.learned import learned

urlpatterns = [
    path("", home, name="home"),
    path("datasets/<uuid:dataset_id>/examples/<int:position>/tokens/", example_tokens, name="example-tokens"),
    path("documents/<uuid:document_id>/learned/", learned, name="document-learned"),
    path("adapters/", views.adapters, name="adapters"),
    path("adapters/take-off/", views.take_off, name="take-off"),
    path("adapters/versions/<uuid:version_id>/", views.version, name="version"),
    path("adapters/versions/<uuid:version_id>/put-live/", views.put_live, name="put-live"),
]
