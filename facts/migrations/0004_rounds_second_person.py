"""Freezing a frame and closing a round wait for a second person."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("facts", "0003_rounds_review_reliability"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="round",
            name="proposed_act",
            field=models.CharField(
                blank=True,
                choices=[("freeze", "freeze the frame"), ("close", "close the round")],
                default="",
                help_text="Waits for a second person.",
                max_length=8,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="round",
            name="proposed_by",
            field=models.ForeignKey(
                null=True,
                on_delete=models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddConstraint(
            model_name="round",
            constraint=models.CheckConstraint(
                condition=models.Q(("proposed_act", ""), ("proposed_by__isnull", True))
                | models.Q(models.Q(("proposed_act", ""), _negated=True), ("proposed_by__isnull", False)),
                name="facts_round_proposal_has_a_person",
            ),
        ),
    ]
