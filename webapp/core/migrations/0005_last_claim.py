from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0004_attempts"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["kind", "tenant", "started_at"], name="job_last_claim"),
        ),
    ]
