from django.urls import path

from webapp.usage import views

urlpatterns = [
    path("usage/", views.usage, name="usage"),
    path("usage/export/", views.export, name="usage-export"),
    path("usage/requests/", views.requests, name="usage-requests"),
    path("usage/requests/<uuid:row_id>/text/", views.text, name="usage-text"),
    path("settings/limits/", views.firm_limits, name="usage-limits"),
    path("settings/limits/texts/", views.text_log, name="usage-text-log"),
    path("settings/keys/<uuid:key_id>/limits/", views.key_limits, name="key-limits"),
]
