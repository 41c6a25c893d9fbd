from django.urls import path, re_path

from webapp.gateway import views

urlpatterns = [
    path("chat/completions", views.chat_completions, name="chat-completions"),
    path("completions", views.completions, name="completions"),
    path("models", views.models, name="models"),
    re_path(r"^models/.+$", views.model, name="model"),  # whatever the name: what is not listed is a 404
    re_path(r"^", views.nowhere, name="gateway-nowhere"),
]
