from django.urls import path

from webapp.documents import views

urlpatterns = [
    path("documents/", views.documents, name="documents"),
    path("documents/upload/", views.upload, name="document-upload"),
    path("documents/<uuid:document_id>/", views.document, name="document"),
    path("documents/<uuid:document_id>/delete/", views.delete, name="document-delete"),
]
