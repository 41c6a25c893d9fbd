from django.db import migrations

from webapp.core.tenancy import Screened


class Migration(migrations.Migration):
    """Whoever is screened off a matter does not learn that weights made from it are live."""

    dependencies = [
        ("adapters", "0002_screens"),
        ("serving", "0001_initial"),
    ]
    operations = [
        Screened(
            "serving_deployment",
            "EXISTS (SELECT FROM adapters_adapterversion seen WHERE seen.id = version_id)",
        ),
    ]
