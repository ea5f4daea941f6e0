"""The audit chain is append-only."""

from django.db import migrations

from core.audit.immutable import forbid_changes


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = forbid_changes("audit_event")
