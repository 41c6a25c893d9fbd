import uuid

import django.db.models.deletion
from django.db import migrations, models

from webapp.core.tenancy import RowSecurity, Screened


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0002_matters"),
        ("training", "0002_screens"),
    ]

    operations = [
        migrations.CreateModel(
            name="Device",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(help_text="Host and device.", max_length=200, unique=True)),
                ("kind", models.CharField(help_text="cpu or cuda", max_length=10)),
                ("memory_bytes", models.PositiveBigIntegerField()),
                ("host_memory_bytes", models.PositiveBigIntegerField()),
                (
                    "matrix_flops",
                    models.FloatField(
                        help_text="Floating point operations a second in a large matrix product."
                    ),
                ),
                ("read_bytes_per_s", models.FloatField(help_text="Of the disk that holds the base models.")),
                ("free_disk_bytes", models.PositiveBigIntegerField()),
                ("seen_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "ordering": ["-seen_at"],
            },
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="best_step",
            field=models.PositiveIntegerField(help_text="Of the best held-out loss so far.", null=True),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="checkpoint_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="checkpoint_step",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="keep_best",
            field=models.BooleanField(default=False, help_text="What a cancel was asked to keep."),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="memory_bytes",
            field=models.PositiveBigIntegerField(help_text="Resident now.", null=True),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="mode",
            field=models.CharField(blank=True, help_text="Where the frozen weights stay.", max_length=20),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="notice",
            field=models.TextField(blank=True, help_text="One sentence about what goes on, while it does."),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="precision",
            field=models.CharField(blank=True, max_length=10),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="prepared_share",
            field=models.FloatField(help_text="Of the frozen prefix, 0 to 1.", null=True),
        ),
        migrations.AddField(
            model_name="trainingrun",
            name="stopped_early",
            field=models.BooleanField(default=False),
        ),
        migrations.AlterField(
            model_name="trainingrun",
            name="phase",
            field=models.CharField(
                blank=True,
                choices=[
                    ("loading", "Loading the base model"),
                    ("preparing", "Reading the examples through the layers that stay frozen"),
                    ("before", "Measuring the base model on the held-out documents"),
                    ("training", "Training"),
                    ("saving", "Measuring the adapter and saving it"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="trainingrun",
            name="seconds",
            field=models.FloatField(help_text="Of work, over all attempts.", null=True),
        ),
        migrations.CreateModel(
            name="CostSample",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("base_revision", models.CharField(max_length=64)),
                ("mode", models.CharField(max_length=20)),
                ("estimated_bytes", models.PositiveBigIntegerField()),
                ("measured_bytes", models.PositiveBigIntegerField()),
                ("estimated_seconds", models.FloatField()),
                ("measured_seconds", models.FloatField()),
                ("at", models.DateTimeField(auto_now_add=True)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="samples",
                        to="training.device",
                    ),
                ),
            ],
            options={
                "ordering": ["-at"],
            },
        ),
        migrations.CreateModel(
            name="Answer",
            fields=[
                (
                    "id",
                    models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False),
                ),
                ("step", models.PositiveIntegerField()),
                (
                    "place",
                    models.PositiveSmallIntegerField(help_text="Of the prompt among the run's, from 0."),
                ),
                ("prompt", models.TextField()),
                ("expected", models.TextField(help_text="What the house wrote.")),
                ("text", models.TextField()),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="answers",
                        to="training.trainingrun",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        editable=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "ordering": ["step", "place"],
                "constraints": [
                    models.UniqueConstraint(fields=("run", "step", "place"), name="one_answer_per_step")
                ],
            },
        ),
        RowSecurity("training_answer"),
        Screened("training_answer", "EXISTS (SELECT FROM training_trainingrun seen WHERE seen.id = run_id)"),
    ]
