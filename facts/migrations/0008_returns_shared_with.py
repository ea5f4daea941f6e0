import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("facts", "0007_limits_request_count"),
        ("clusters", "0002_unit_memberships"),
    ]

    operations = [
        migrations.AddField(
            model_name="return",
            name="shared_with",
            field=models.ForeignKey(
                help_text=(
                    "Whom the unit lets read what it handed in over its own link; reading only, and nothing of a draft."
                ),
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="clusters.organisation",
            ),
        ),
    ]
