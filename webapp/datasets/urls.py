from django.urls import path

from webapp.datasets.views import build, datasets, drafts, examples, exchange, profile, quality

urlpatterns = [
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/new/", build.new, name="dataset-new"),
    path("datasets/import/", exchange.import_file, name="dataset-import"),
    path("datasets/import/<uuid:document_id>/", exchange.import_document, name="dataset-import-document"),
    path("datasets/<uuid:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/documents/", datasets.parts, name="dataset-documents"),
    path("datasets/<uuid:dataset_id>/export.jsonl", exchange.export, name="dataset-export"),
    path("datasets/<uuid:dataset_id>/without/", build.without_withdrawn, name="dataset-without"),
    path("datasets/<uuid:dataset_id>/examples/<int:position>/edit/", examples.edit, name="example-edit"),
    path(
        "datasets/<uuid:dataset_id>/examples/<int:position>/exclude/",
        examples.exclude,
        name="example-exclude",
    ),
    path("datasets/<uuid:dataset_id>/examples/<int:position>/undo/", examples.undo, name="example-undo"),
    path("datasets/<uuid:dataset_id>/discard/", drafts.discard, name="dataset-discard"),
    path("datasets/<uuid:dataset_id>/freeze/", drafts.freeze, name="dataset-freeze"),
    path("datasets/<uuid:dataset_id>/reopen/", drafts.reopen, name="dataset-reopen"),
    path("datasets/<uuid:dataset_id>/profile/", profile.profile, name="dataset-profile"),
    path(
        "datasets/<uuid:dataset_id>/profile/download/",
        profile.profile_download,
        name="dataset-profile-download",
    ),
    path(
        "datasets/<uuid:dataset_id>/profile/compare/", profile.profile_compare, name="dataset-profile-compare"
    ),
    path("datasets/<uuid:dataset_id>/quality/", quality.quality, name="dataset-quality"),
    path("datasets/<uuid:dataset_id>/delete/", datasets.delete, name="dataset-delete"),
]
