from django.db import migrations

from webapp.core.tenancy import Screened


class Migration(migrations.Migration):
    """Whoever is screened off a matter sees no run that learned from it."""

    dependencies = [
        ("datasets", "0002_versions"),
        ("training", "0001_initial"),
    ]
    operations = [
        Screened("training_trainingrun", "dataset_id NOT IN (SELECT housestyle_screened_datasets())"),
        Screened(
            "training_losspoint", "EXISTS (SELECT FROM training_trainingrun seen WHERE seen.id = run_id)"
        ),
    ]
