"""A version that was handed in stays as it was certified; number 0 is the draft."""

from django.db import migrations

from core.audit.immutable import forbid_changes


class Migration(migrations.Migration):
    dependencies = [("vault", "0001_initial")]
    operations = forbid_changes("vault_sealedanswers", when="OLD.number > 0")
