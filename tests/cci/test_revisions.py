"""What a revision changed, by hand; and that every published edition can be computed again."""

import shutil
from contextlib import suppress
from io import StringIO

import numpy as np
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction

from cci.models import Edition, Explanation, Score, Standing
from cci.revisions import change_list, spearman, summary_of
from cci.services import request_recompute, revised
from core.jobs import ledger
from facts.models import Indicator, IndicatorValue
from facts.services.values import register_indicators
from tests.factories import ClusterFactory, open_round, person, rules_lifted
from tests.methods import adopted, second_method

pytestmark = pytest.mark.django_db


@pytest.fixture
def pair():
    """2025 and its revision 2025.1, as candidates; both states are set when the scores are in."""
    method, round_ = adopted("1.0"), open_round(2025, state="closed")

    def edition(revision):
        label = f"2025.{revision}" if revision else "2025"
        return Edition.objects.create(
            round=round_, methodology=method, revision=revision, label=label, state="candidate", digest=label
        )

    return edition(0), edition(1)


def seen(edition, cluster, value=None, rank=None, low=None, high=None, reason=""):
    Standing.objects.create(edition=edition, cluster=cluster, is_ranked=not reason, reason=reason)
    if value is not None:
        Score.objects.create(
            edition=edition, cluster=cluster, node="CCI", value=value, rank=rank, rank_low=low, rank_high=high
        )


def test_each_cluster_is_told_as_changed_or_not_and_why(pair, django_assert_num_queries):
    old, new = pair
    same, own, others, out, new_one, hidden = (
        ClusterFactory(name=name) for name in ("Same", "Own", "Others", "Out", "New", "Hidden")
    )
    type(hidden).objects.filter(pk=hidden.pk).update(is_published=False)
    for edition, rows in (
        (old, [(same, 80.0, 1, 1, 1), (own, 60.0, 2, 2, 2), (others, 50.0, 3, 3, 3), (out, 40.0, 4, 4, 4)]),
        (new, [(same, 80.2, 1, 1, 1), (others, 50.0, 2, 2, 2), (own, 45.0, 3, 3, 3), (new_one, 30.0, 4, 4, 4)]),
    ):
        for row in rows:
            seen(edition, *row)
    seen(new, out, 39.0, reason="copied")
    seen(old, new_one, reason="response")
    seen(new, hidden, 99.0, 5, 5, 5)

    with django_assert_num_queries(3):
        changes = change_list(new, old)

    told = {row.cluster.name: (row.is_changed, row.cause) for row in changes.rows}
    assert told == {
        "Same": (False, ""),  # 80.0 and 80.2 are both shown as 80
        "Own": (True, "own"),
        "Others": (True, "others"),
        "Out": (True, "out"),
        "New": (True, "new"),
    }
    assert (len(changes.changed), changes.n_unchanged) == (4, 1)
    by_name = {row.cluster.name: row for row in changes.rows}
    assert by_name["Own"].move.is_move and by_name["Own"].move.gained == -1
    assert by_name["Out"].after.score is None  # a score of a cluster that is not ranked is not public
    assert (by_name["Same"].before.band, by_name["Own"].before.band) == ("A", "B")
    assert (changes.summary.n_common, changes.summary.moved) == (3, 2)
    assert [row.cluster.name for row in changes.rows][-1] == "Out"  # what is not ranked stands last
    assert "Hidden" in {row.cluster.name for row in change_list(new, old, everyone=True).rows}


def test_under_another_methodology_a_changed_score_is_told_as_the_methods(pair, tmp_path):
    old, new = pair
    with second_method(tmp_path) as version:
        new.methodology = adopted(version)
        new.save()
    cluster = ClusterFactory()
    seen(old, cluster, 60.0, 1, 1, 1)
    seen(new, cluster, 64.0, 1, 1, 1)

    assert [row.cause for row in change_list(new, old).rows] == ["method"]


def test_a_stored_band_is_the_band_shown(pair):
    old, new = pair
    first, second = ClusterFactory(), ClusterFactory()
    for edition, bands in ((old, (1, 1)), (new, (1, 2))):
        for place, (cluster, band) in enumerate(zip((first, second), bands, strict=True), start=1):
            seen(edition, cluster, 60.0 - place, place, place, place)
            Standing.objects.filter(edition=edition, cluster=cluster).update(band=band)

    row = {row.cluster.pk: row for row in change_list(new, old).rows}[second.pk]

    assert (row.before.band, row.after.band, row.is_changed) == ("A", "B", True)


def test_the_edition_replaced_is_the_public_one_before(pair):
    old, new = pair

    assert revised(new) is None
    Edition.objects.filter(pk=old.pk).update(state="published")
    assert revised(new) == old
    assert revised(old) is None


def test_spearman_agrees_with_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(7)
    pairs = np.round(rng.normal(size=(40, 2)), 1)  # with ties

    assert spearman(pairs) == pytest.approx(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)
    assert spearman(pairs[:2]) is None
    assert spearman(np.column_stack([np.ones(5), np.arange(5.0)])) is None
    assert summary_of([], []).spearman is None


# --- verify_editions ---------------------------------------------------------------------------


@pytest.fixture
def published(town):
    """A published edition, computed for real from a round without returns."""
    adopted("1.0")
    register_indicators()
    edition = request_recompute(town.round, by=person("analyst"))
    assert ledger.run(edition.job_id, heartbeat=False)
    Edition.objects.filter(pk=edition.pk).update(state="published", is_provisional=False, revision=0)
    edition.refresh_from_db()
    return edition


def said(**options) -> str:
    """What the command says, whether or not it ends in an error."""
    out = StringIO()
    with suppress(CommandError):
        call_command("verify_editions", stdout=out, **options)
    return out.getvalue()


def past_the_rules(table: str, sql: str) -> None:
    with rules_lifted(table), connection.cursor() as cursor:
        cursor.execute(sql)


def test_an_untouched_edition_comes_out_the_same(published):
    assert f"{published.label}: same digest, same rows" in said()
    assert "1 editions computed again" in said(edition=published.label)


@pytest.mark.parametrize(
    ("table", "sql", "words"),
    [
        ("cci_standing", "UPDATE cci_standing SET n_units = 41", "1 of 1 standings"),
        ("cci_score", "DELETE FROM cci_score WHERE node = 'CCI'", "scores"),
        ("cci_explanation", "UPDATE cci_explanation SET content = '{}'", "1 of 1 explanations"),
        ("cci_edition", "UPDATE cci_edition SET report = '{}'", "its report"),
        ("facts_indicatorvalue", "UPDATE facts_indicatorvalue SET n_units = 41", "indicator values"),
        ("facts_reliability", "UPDATE facts_reliability SET grade = 'A'", "1 of 1 reliabilit"),
    ],
)
def test_a_row_altered_in_the_database_is_found_though_the_digest_is_the_same(published, table, sql, words):
    past_the_rules(table, sql)

    told = said()
    assert "the digest is the same, but what is stored is not what was computed" in told
    assert words in told
    with pytest.raises(CommandError, match="1 of 1"):
        call_command("verify_editions", stdout=StringIO())


def test_another_digest_an_older_engine_and_lost_inputs_are_told_apart(published):
    past_the_rules("cci_edition", f"UPDATE cci_edition SET digest = '{'d' * 64}'")
    assert f"DIFFERS: {published.digest[:16]}" in said()
    past_the_rules("cci_edition", "UPDATE cci_edition SET engine_version = '0.0.1'")
    assert "engine 0.0.1 made it" in said()
    shutil.rmtree(settings.SNAPSHOT_DIR / published.snapshot.digest)
    assert "snapshot" in said()


def test_an_unknown_label_is_refused(db):
    with pytest.raises(CommandError, match="no computed edition 1999"):
        call_command("verify_editions", edition="1999", stdout=StringIO())


# --- What the database itself refuses ------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE cci_edition SET state = 'candidate'",
        "UPDATE cci_edition SET published_at = NULL",
        "UPDATE cci_edition SET is_synthetic = NOT is_synthetic",
        "UPDATE cci_edition SET release_at = computed_at",
        "DELETE FROM cci_edition",
        "UPDATE cci_methodology SET title = 'Another'",
        "DELETE FROM cci_score",
        "UPDATE cci_standing SET n_units = 41",
        "UPDATE facts_reliability SET grade = 'A'",
    ],
)
def test_the_database_refuses_to_alter_what_is_published(published, sql):
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)


def test_the_database_refuses_to_add_to_what_is_published(published):
    cluster = ClusterFactory()
    for add in (
        lambda: Score.objects.create(edition=published, cluster=cluster, node="CCI", value=99.0, rank=1),
        lambda: Standing.objects.create(edition=published, cluster=cluster, is_ranked=True),
        lambda: Explanation.objects.create(edition=published, cluster=cluster),
        lambda: IndicatorValue.objects.create(
            snapshot=published.snapshot, cluster=cluster, indicator=Indicator.objects.first(), status="A"
        ),
    ):
        with pytest.raises(DatabaseError, match="no row is added"), transaction.atomic():
            add()


def test_a_public_edition_only_goes_on(published):
    for refused in ("computing", "proposed", "failed"):
        with pytest.raises(DatabaseError, match="it only goes on"), transaction.atomic():
            Edition.objects.update(state=refused)
    Edition.objects.update(state="superseded")
    with pytest.raises(DatabaseError, match="it only goes on"), transaction.atomic():
        Edition.objects.update(state="published")
    Edition.objects.update(state="withdrawn")
    with pytest.raises(DatabaseError, match="it only goes on"), transaction.atomic():
        Edition.objects.update(state="published")
