from django.urls import path

from webapp.findings.views import desk, firm

urlpatterns = [
    path("findings/", firm.findings, name="findings"),
    path("findings/decide/", firm.decide, name="findings-decide"),
    path("documents/<uuid:document_id>/findings/", desk.desk, name="document-findings"),
    path("documents/<uuid:document_id>/findings/decide/", desk.decide_kind, name="document-findings-decide"),
    path("documents/<uuid:document_id>/findings/<uuid:finding_id>/", desk.decide, name="finding-decide"),
]
