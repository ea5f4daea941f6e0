from django.db import migrations

from core.audit.immutable import forbid_changes

PUBLIC = "('published', 'superseded')"
OF_PUBLIC = f"EXISTS (SELECT 1 FROM cci_edition e WHERE e.id = OLD.edition_id AND e.state IN {PUBLIC})"
CONTENT = "digest, snapshot_id, methodology_id, round_id, label, revision, report, summary, engine_version"


class Migration(migrations.Migration):
    dependencies = [("cci", "0001_initial"), ("facts", "0002_keep_snapshots")]
    operations = [
        forbid_changes("cci_score", when=OF_PUBLIC),
        forbid_changes("cci_standing", when=OF_PUBLIC),
        forbid_changes("cci_edition", when=f"OLD.state IN {PUBLIC}", columns=CONTENT),
        forbid_changes(
            "facts_indicatorvalue",
            when=f"EXISTS (SELECT 1 FROM cci_edition e WHERE e.snapshot_id = OLD.snapshot_id AND e.state IN {PUBLIC})",
        ),
    ]
