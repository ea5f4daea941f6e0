"""A snapshot is what an edition was computed from."""

from django.db import migrations

from core.audit.immutable import forbid_changes


class Migration(migrations.Migration):
    dependencies = [("facts", "0001_initial")]
    operations = forbid_changes("facts_snapshot")
