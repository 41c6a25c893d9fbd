from django.urls import path

from webapp.tenants.views import audit_log, keys, people, sign_in

urlpatterns = [
    path("sign-in/", sign_in.SignIn.as_view(), name="sign-in"),
    path("sign-out/", sign_in.SignOut.as_view(), name="sign-out"),
    path("no-firm/", sign_in.no_firm, name="no-firm"),
    path("settings/keys/", keys.keys, name="keys"),
    path("settings/keys/<uuid:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("settings/people/", people.people, name="people"),
    path("audit/", audit_log.log, name="audit"),
]
