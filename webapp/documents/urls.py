from django.urls import path

from webapp.documents.views import columns, document, documents, pages, resumable, upload

urlpatterns = [
    path("documents/", documents.documents, name="documents"),
    path("documents/chosen/", documents.chosen, name="documents-chosen"),
    path("documents/upload/", upload.upload, name="document-upload"),
    path("documents/uploads/", resumable.create, name="document-uploads"),
    path("documents/uploads/<uuid:upload_id>/", resumable.part, name="document-upload-part"),
    path("documents/<uuid:document_id>/", document.document, name="document"),
    path("documents/<uuid:document_id>/original/", document.original, name="document-original"),
    path("documents/<uuid:document_id>/pages/<int:number>/", pages.page, name="document-page"),
    path("documents/<uuid:document_id>/pages/<int:number>/image/", pages.image, name="document-page-image"),
    path("documents/<uuid:document_id>/columns/", columns.columns, name="document-columns"),
    path("documents/<uuid:document_id>/move/", document.move, name="document-move"),
    path("documents/<uuid:document_id>/withdraw/", document.withdraw, name="document-withdraw"),
    path("documents/<uuid:document_id>/restore/", document.restore, name="document-restore"),
    path("documents/<uuid:document_id>/delete/", document.delete, name="document-delete"),
]
