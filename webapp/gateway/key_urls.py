from django.urls import path

from webapp.gateway import key_views as views

urlpatterns = [
    path("settings/keys/", views.keys, name="keys"),
    path("settings/keys/new/", views.new, name="key-new"),
    path("settings/keys/<uuid:key_id>/", views.key, name="key"),
    path("settings/keys/<uuid:key_id>/access/", views.access, name="key-access"),
    path("settings/keys/<uuid:key_id>/rotate/", views.rotate, name="key-rotate"),
    path("settings/keys/<uuid:key_id>/revoke/", views.revoke, name="key-revoke"),
]
