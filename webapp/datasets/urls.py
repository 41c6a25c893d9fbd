from django.urls import path

from webapp.datasets.views import datasets

urlpatterns = [
    path("datasets/", datasets.datasets, name="datasets"),
    path("datasets/new/", datasets.new, name="dataset-new"),
    path("datasets/<uuid:dataset_id>/", datasets.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/delete/", datasets.delete, name="dataset-delete"),
]
