"""The reliability that a published edition ranked by never changes."""

from django.db import migrations

from core.audit.immutable import forbid_changes

PUBLIC = "('published', 'superseded')"


class Migration(migrations.Migration):
    dependencies = [
        ("cci", "0003_reliability_and_precision"),
        ("facts", "0005_standing_reliability_remembers"),
    ]
    operations = [
        forbid_changes(
            "facts_reliability",
            when=f"EXISTS (SELECT 1 FROM cci_edition e WHERE e.snapshot_id = OLD.snapshot_id AND e.state IN {PUBLIC})",
        ),
    ]
