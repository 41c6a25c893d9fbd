from django.urls import path

from webapp.datasets import views

urlpatterns = [
    path("datasets/", views.datasets, name="datasets"),
    path("datasets/new/", views.new, name="dataset-new"),
    path("datasets/<uuid:dataset_id>/", views.dataset, name="dataset"),
    path("datasets/<uuid:dataset_id>/delete/", views.delete, name="dataset-delete"),
]
