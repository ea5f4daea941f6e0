"""The association's sheet before publication: its own cluster beside ten peers or more, for nobody else."""

import pytest
from django.urls import reverse
from django.utils import timezone

from cci.models import Edition, Methodology, Score
from cci.services import register_methodology
from cci.views.benchmark import Line, lines_of
from clusters.models import AreaOfWork
from facts.models import Snapshot
from tests.factories import ClusterFactory, OrganisationFactory, before_publication, open_round, person


def edition_of(round_, clusters, *, state="candidate", provisional=True, own=30.0) -> Edition:
    register_methodology("1.0")
    snapshot = Snapshot.objects.create(round=round_, digest=f"snapshot {round_.year}", taken_at=timezone.now())
    edition = Edition.objects.create(
        round=round_,
        methodology=Methodology.objects.get(),
        snapshot=snapshot,
        revision=None if provisional else 0,
        label=f"{round_.year}{'-provisional' if provisional else ''}",
        state=state,
        is_provisional=provisional,
        digest=f"{round_.year:0<64}",
        computed_at=timezone.now(),
    )
    for place, cluster in enumerate(clusters):
        for node, value in (("S4", own if place == 0 else 50.0 + place), ("H1", 80.0), ("S2", 40.0 + place)):
            Score.objects.create(edition=edition, cluster=cluster, node=node, value=value)
    return edition


@pytest.fixture
def peers(town):
    return [town.cluster, *(ClusterFactory() for _ in range(11))]


def page_of(cluster) -> str:
    return reverse("cci:cluster-benchmark", args=[cluster.code])


def test_before_publication_the_association_sees_its_gaps_and_what_helped_others(town, peers, client):
    edition_of(town.round, peers)
    AreaOfWork.objects.create(code="innov", name="Innovation and best practices", position=6)
    client.force_login(town.head)

    page = client.get(page_of(town.cluster)).content.decode()

    assert "Not published yet" in page
    assert "10–24 of them" in page  # peers as a band
    assert "30 points; half of the peers have more than 56." in page
    assert "A wide gap." in page and "area=innov" in page
    assert not any(peer.name in page for peer in peers[1:])


def test_below_ten_peers_nothing_is_compared_and_an_earlier_round_stands_in(town, peers, client):
    with before_publication():
        edition_of(open_round(2025, state="closed"), peers, state="published", provisional=False)
    edition_of(town.round, peers[:8])
    client.force_login(town.head)

    newest, asked = client.get(page_of(town.cluster)), client.get(page_of(town.cluster) + "?round=2026")

    assert newest.context["edition"].round.year == 2025 and newest.context["is_compared"]
    assert asked.context["edition"].round.year == 2026 and not asked.context["is_compared"]
    assert "fewer than ten peers" in asked.content.decode()
    assert client.get(page_of(town.cluster) + "?round=1999").status_code == 404


def test_it_is_for_the_own_cluster_and_the_office(town, peers, client):
    edition_of(town.round, peers)
    stranger = person("head", OrganisationFactory())
    for user, status in (
        (town.entry, 200),
        (town.supervisor, 200),
        (person("analyst"), 200),
        (stranger, 404),
        (person("viewer"), 403),
    ):
        client.force_login(user)
        assert client.get(page_of(town.cluster)).status_code == status, user
    client.logout()
    assert client.get(page_of(town.cluster)).status_code == 302


def test_without_an_edition_the_page_says_so(town, client):
    client.force_login(town.head)

    assert "No comparison yet" in client.get(page_of(town.cluster)).content.decode()


def test_the_page_costs_the_same_for_few_or_many_clusters(town, peers, client, django_assert_max_num_queries):
    edition_of(town.round, peers)
    client.force_login(town.head)
    client.get(page_of(town.cluster))

    with django_assert_max_num_queries(9):
        client.get(page_of(town.cluster))


def test_quartiles_are_whole_points_and_need_ten_others():
    names = {"S4": "Quality"}
    ten, nine = [float(n) for n in range(10, 110, 10)], [1.0] * 9

    assert lines_of(names, {"S4": 5.0}, {"S4": ten})[0] == Line("S4", "Quality", 5.0, 32.0, 55.0, 78.0, 10)
    assert lines_of(names, {"S4": 5.0}, {"S4": nine})[0].middle is None
    assert lines_of(names, {"S4": 60.0}, {"S4": ten})[0].place == "in the better half"
