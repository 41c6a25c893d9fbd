from django.urls import path

from webapp.serving import releasing, views
from webapp.serving.example_tokens import example_tokens
from webapp.serving.home import home
from webapp.serving.learned import learned

urlpatterns = [
    path("", home, name="home"),
    path("datasets/<uuid:dataset_id>/examples/<int:position>/tokens/", example_tokens, name="example-tokens"),
    path("documents/<uuid:document_id>/learned/", learned, name="document-learned"),
    path("adapters/", views.adapters, name="adapters"),
    path("adapters/take-off/", releasing.take_off, name="take-off"),
    path("adapters/versions/<uuid:version_id>/", views.version, name="version"),
    path("adapters/versions/<uuid:version_id>/put-live/", releasing.put_live, name="put-live"),
    path("adapters/versions/<uuid:version_id>/roll-back/", releasing.roll_back, name="roll-back"),
    path("adapters/versions/<uuid:version_id>/share/", releasing.share, name="version-share"),
    path("adapters/versions/<uuid:version_id>/withdraw/", releasing.withdraw, name="version-withdraw"),
    path("adapters/versions/<uuid:version_id>/retire/", releasing.retire, name="version-retire"),
]
