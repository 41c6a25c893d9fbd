from django.urls import path

from webapp.training import cost_views, views

urlpatterns = [
    path("training/", views.runs, name="training"),
    path("training/new/", views.new, name="training-new"),
    path("training/estimate/", cost_views.estimate, name="training-estimate"),
    path("training/costs/", cost_views.table, name="training-costs"),
    path("training/<uuid:run_id>/", views.run, name="run"),
    path("training/<uuid:run_id>/curve/", views.curve, name="run-curve"),
    path("training/<uuid:run_id>/answers/", views.answers, name="run-answers"),
    path("training/<uuid:run_id>/cancel/", views.cancel, name="run-cancel"),
]
