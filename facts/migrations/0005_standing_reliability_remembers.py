"""A reliability score says which association its gates are about, and whether the cluster was reliable before."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("facts", "0004_rounds_second_person")]

    operations = [
        migrations.AddField(
            model_name="reliability",
            name="association",
            field=models.CharField(
                blank=True,
                default="",
                help_text="Subject of the association return that the gates are about.",
                max_length=120,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="reliability",
            name="was_reliable",
            field=models.BooleanField(
                default=False, help_text="Reliable a round before: stays so down to 70 points."
            ),
        ),
    ]
