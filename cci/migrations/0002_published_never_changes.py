"""What a published edition shows, and what it was made by, never changes: no row altered, removed or added.

Its state only goes on: published, superseded, withdrawn.
"""

from django.db import migrations

from core.audit.immutable import Refuse, forbid_changes

PUBLIC = "('published', 'superseded', 'withdrawn')"
OF_PUBLIC = f"EXISTS (SELECT 1 FROM cci_edition e WHERE e.id = OLD.edition_id AND e.state IN {PUBLIC})"
OF_SNAPSHOT = f"EXISTS (SELECT 1 FROM cci_edition e WHERE e.snapshot_id = OLD.snapshot_id AND e.state IN {PUBLIC})"
CONTENT = (
    "digest, snapshot_id, methodology_id, round_id, label, revision, revision_kind, revision_note, report, summary, "
    "engine_version, is_synthetic, is_trial, is_provisional, computed_at, proposed_by_id, proposed_at, "
    "published_by_id, published_at, release_at"
)
BACKWARDS = (
    "NEW.state <> OLD.state AND ("
    "(OLD.state = 'published' AND NEW.state NOT IN ('superseded', 'withdrawn')) "
    "OR (OLD.state = 'superseded' AND NEW.state <> 'withdrawn') "
    "OR OLD.state = 'withdrawn')"
)


class Migration(migrations.Migration):
    dependencies = [("cci", "0001_initial"), ("facts", "0002_snapshots_never_change")]
    operations = [
        *forbid_changes("cci_score", when=OF_PUBLIC, inserts=True),
        *forbid_changes("cci_standing", when=OF_PUBLIC, inserts=True),
        *forbid_changes("cci_explanation", when=OF_PUBLIC, inserts=True),
        *forbid_changes("facts_indicatorvalue", when=OF_SNAPSHOT, inserts=True),
        *forbid_changes("facts_reliability", when=OF_SNAPSHOT, inserts=True),
        *forbid_changes("cci_edition", when=f"OLD.state IN {PUBLIC}", columns=CONTENT),
        Refuse("cci_edition_goes_on", "cci_edition", "UPDATE OF state", when=BACKWARDS, why="it only goes on"),
        *forbid_changes("cci_methodology", when="OLD.state = 'adopted'"),
        *forbid_changes("cci_erratum", columns="edition_id, kind, text, effect, written_by_id, published_at"),
        Refuse("cci_erratum_mended_once", "cci_erratum", "UPDATE OF corrected_in_id", "OLD.corrected_in_id IS NOT NULL"),
        *forbid_changes("cci_erratum_clusters"),
    ]
