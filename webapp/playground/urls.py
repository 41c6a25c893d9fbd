from django.urls import path

from webapp.playground import views

urlpatterns = [
    path("", views.page, name="playground"),
    path("answer/", views.answer, name="playground-answer"),
]
