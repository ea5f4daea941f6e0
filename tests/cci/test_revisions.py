"""What a revision changed, by hand; and that every published edition can be computed again."""

from io import StringIO

import numpy as np
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from cci.management.commands import verify_editions
from cci.models import Edition, Score, Standing
from cci.revisions import change_list, spearman, summary_of
from cci.services import revised
from core.base import DomainError
from facts.services.snapshots import take_snapshot
from tests.factories import ClusterFactory, open_round, person
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
def computed():
    """A published edition of a round without returns, computed for real from its snapshot."""
    from cci.services import recompute_digest

    method, round_ = adopted("1.0"), open_round(2025, state="closed")
    edition = Edition(round=round_, methodology=method, revision=0, label="2025", state="published")
    edition.snapshot = take_snapshot(round_, by=person("analyst"))
    return edition, recompute_digest


def said(**options) -> str:
    out = StringIO()
    call_command("verify_editions", stdout=out, **options)
    return out.getvalue()


def test_the_same_digest_passes_and_another_fails(computed, monkeypatch):
    edition, _ = computed
    edition.digest, edition.engine_version = "d" * 64, verify_editions.VERSION
    edition.save()
    monkeypatch.setattr(verify_editions, "recompute_digest", lambda one: one.digest)

    assert "2025: same digest" in said() and "1 editions computed again" in said()
    assert "same digest" in said(edition="2025")
    monkeypatch.setattr(verify_editions, "recompute_digest", lambda one: "e" * 64)
    with pytest.raises(CommandError, match="1 of 1"):
        said()


@pytest.mark.parametrize(
    ("fault", "words"),
    [(DomainError("not in the snapshot store"), "snapshot store"), (FileNotFoundError("cci-9.toml"), "cannot be read")],
)
def test_what_cannot_be_computed_again_is_a_failure_with_its_reason(computed, monkeypatch, fault, words):
    edition, _ = computed
    edition.digest = "d" * 64
    edition.save()

    def broken(one):
        raise fault

    monkeypatch.setattr(verify_editions, "recompute_digest", broken)
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("verify_editions", stdout=out)
    assert words in out.getvalue()


def test_an_older_engine_is_named_as_the_cause(computed, monkeypatch):
    edition, _ = computed
    edition.digest, edition.engine_version = "d" * 64, "0.0.1"
    edition.save()
    monkeypatch.setattr(verify_editions, "recompute_digest", lambda one: "e" * 64)
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("verify_editions", stdout=out)
    assert "engine 0.0.1 made it" in out.getvalue()


def test_an_unknown_label_is_refused(db):
    with pytest.raises(CommandError, match="no computed edition 1999"):
        said(edition="1999")
