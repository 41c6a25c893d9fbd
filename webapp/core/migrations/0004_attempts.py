from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("core", "0003_render"),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="attempts",
            field=models.PositiveIntegerField(default=0, help_text="Claims since it last got on."),
        ),
        migrations.AddField(
            model_name="job",
            name="not_before",
            field=models.DateTimeField(help_text="When one that had to wait may be claimed.", null=True),
        ),
    ]
