"""Ranked or not: the public reads categories; the cluster and its agency read every point, and nobody else does."""

from html import unescape

import pytest
from django.utils import timezone

from cci.models import Edition, Score, Standing
from cci.services import CURRENT, register_methodology
from clusters.models import ClusterRole
from facts.models import Flag, Reliability, Return, Snapshot
from facts.reliability import load_rules, reliability
from facts.services.standing import store_reliability
from tests.factories import ClusterFactory, OrganisationFactory, Town, before_publication, open_round, person
from tests.villages import village

from .test_public_pages import World, read

RULES = load_rules()


@pytest.fixture
def world(db):
    return World()


@pytest.fixture
def near(world):
    """The unranked cluster of the world is provisional: close, with scores that nobody outside may see."""
    with before_publication():
        Standing.objects.filter(cluster=world.unranked).update(status="provisional", reason="association")
    return world


# --- The public page ------------------------------------------------------------------------


def test_the_page_says_who_is_not_ranked_and_by_which_category(client, world):
    page = unescape(read(client, "/cci/2025.1/eligibility/"))

    assert "7 of 8 clusters are ranked" in page
    assert "Left out" in page and "not ranked: too few of its firms answered" in page
    assert "Accepted returns from at least 50 % of its firms" in page
    assert "From 75 its data are reliable" in page and "stays so down to 70" in page
    for gate in RULES.content["gate"]:
        assert gate["name"] in page and gate["asks"] in page
    assert "Hidden cluster" not in page


def test_ranking_and_profile_lead_to_it(client, world):
    for url in ("/cci/2025.1/", "/clusters/PK-OUT-1/", "/cci/2025.1/methodology/"):
        assert 'href="/cci/2025.1/eligibility/"' in read(client, url)


def test_one_category_can_be_looked_at(client, world):
    with before_publication():
        other = ClusterFactory(code="PK-OUT-2", name="Copies a lot")
        Standing.objects.create(edition=world.now, cluster=other, is_ranked=False, reason="copied")

    page = read(client, "/cci/2025.1/eligibility/?reason=copied")

    assert "Copies a lot" in page
    assert "Left out" not in page
    assert "Left out" in read(client, "/cci/2025.1/eligibility/?reason=nonsense")


def test_the_page_costs_as_many_queries_for_many_clusters(client, world, django_assert_max_num_queries):
    with before_publication():
        for n in range(30):
            cluster = ClusterFactory(code=f"PK-MANY-{n}")
            Standing.objects.create(edition=world.now, cluster=cluster, is_ranked=False, reason="response")

    with django_assert_max_num_queries(8):
        client.get("/cci/2025.1/eligibility/")


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "/cci/2025.1/",
        "/cci/2025.1/?sort=name",
        "/cci/2025.1/?pillar=O",
        "/cci/2025.1/eligibility/",
        "/cci/2025.1/methodology/",
        "/clusters/",
        "/clusters/?view=map",
        "/clusters/?view=table",
        "/clusters/PK-OUT-1/",
        "/api/v1/rankings/?edition=2025.1",
        "/api/v1/rankings/PK-OUT-1/",
        "/api/v1/scores/?cluster=PK-OUT-1",
        "/api/v1/rankings/?edition=2025.1&format=csv",
    ],
)
def test_nothing_public_shows_a_score_of_an_unranked_cluster_or_says_provisional(client, near, url):
    """Its score is 13.37 in every node: neither that nor the whole points stand anywhere."""
    response = client.get(url)
    page = response.content.decode()

    assert response.status_code == 200
    assert "13.37" not in page and ">13<" not in page and ": 13," not in page and ",13," not in page
    assert "rovisional" not in page.replace("is_provisional", "")
    assert "137" not in page  # its exact count of returns


def test_the_api_gives_the_category_and_finds_by_it(client, near):
    found = client.get("/api/v1/rankings/?edition=2025.1&reason=association").json()["results"]

    assert [(row["cluster"], row["is_ranked"], row["reason"], row["score"]) for row in found] == [
        ("PK-OUT-1", False, "association", None)
    ]
    assert client.get("/api/v1/rankings/?edition=2025.1&reason=copied").json()["results"] == []


# --- The page of the cluster ----------------------------------------------------------------


class Village(Town):
    """A town whose cluster V was computed in the rounds of 2024 and 2025, with an association and its papers."""

    def __init__(self, **changes):
        super().__init__()
        self.cluster.code = "V"
        self.cluster.save()
        self.years = {year: open_round(year, state="closed") for year in (2024, 2025)}
        for year, round_ in self.years.items():
            snapshot = Snapshot.objects.create(round=round_, digest=f"snapshot {year}", taken_at=timezone.now())
            store_reliability(snapshot, reliability(village(**{"accepted": 45, **changes}), RULES, year))
        self.filed = Return.objects.create(
            round=self.years[2025],
            schedule="ASSOCIATION",
            subject="V/a",
            cluster=self.cluster,
            organisation=self.association,
            state="locked",
            version=1,
            submitted_at=timezone.now(),
        )


@pytest.fixture
def far(db):
    """Far from a rank: too few returns, an old board, some from memory."""
    return Village(accepted=22, warned=5, source=3, AA04="2018-03-14")


def page_of(client, user, url="/workspace/standing/V/?round=2025"):
    client.force_login(user)
    return client.get(url)


def test_the_cluster_reads_its_points_gates_and_the_way(client, far):
    page = read_as(client, far.head)

    row = Reliability.objects.get(snapshot__round__year=2025)
    assert f"{int(row.score)}" in page and f"grade {row.grade}" in page
    for part in RULES.content["part"]:
        assert part["name"] in page
    assert "36 % of the units in scope have an accepted return" in page
    assert "Bring in 8 more returns and have them accepted" in page
    assert "Hold the board election" in page and "14 March 2018" in page
    assert page.index("Bring in") < page.index("Hold the board election")
    assert "/workspace/standing/V/?round=2024" in page


def read_as(client, user, url="/workspace/standing/V/?round=2025"):
    response = page_of(client, user, url)
    assert response.status_code == 200
    return " ".join(unescape(response.content.decode()).split())


def test_who_reads_it_and_who_does_not(client, far):
    """Association and agency of the cluster, analysts and auditors; for others it does not exist."""
    other = Town(year=2026)
    research = OrganisationFactory(kind="Research")
    ClusterRole.objects.create(cluster=far.cluster, organisation=research, role="collector")
    for user in (far.entry, far.head, far.staff, far.supervisor, person("analyst"), person("auditor")):
        assert page_of(client, user).status_code == 200
    for user in (other.entry, other.head, other.staff, other.supervisor, person("entry", research)):
        assert page_of(client, user).status_code == 404
    assert page_of(client, person("viewer")).status_code == 403
    client.logout()
    assert client.get("/workspace/standing/V/").status_code == 302


@pytest.mark.parametrize(
    "url", ["/workspace/standing/W/", "/workspace/standing/V/?round=1999", "/workspace/standing/V/?round=x"]
)
def test_what_is_not_there_is_not_found(client, far, url):
    assert page_of(client, far.head, url).status_code == 404


def test_a_round_without_a_computation_says_what_comes(client, far):
    page = read_as(client, far.head, "/workspace/standing/V/?round=2026")

    assert "Nothing is computed for this round yet" in page and "every night" in page


def test_signals_stay_with_the_data_team(client, far):
    """X05 and the outside totals: points yes, figures and lists no."""
    association, supervisor = read_as(client, far.head), read_as(client, far.supervisor)

    assert "returns with the signal X05" in supervisor and "part=D7" in supervisor
    assert "returns with the signal X05" not in association and "part=D7" not in association
    for user, status in ((far.head, 404), (far.staff, 404), (far.supervisor, 200)):
        assert page_of(client, user, "/workspace/standing/V/returns/?round=2025&part=D7").status_code == status
    for user, digits in ((far.head, 0), (far.supervisor, 1)):
        parts = {part["code"]: part["digits"] for part in page_of(client, user).context["parts"]}
        assert (parts["D6"], parts["D7"], parts["D8"]) == (1, digits, digits)


def test_another_associations_answers_are_not_told(client, far):
    """Two associations, the gates of one: the other reads which are passed, not what was answered."""
    second = OrganisationFactory(kind="Association")
    ClusterRole.objects.create(cluster=far.cluster, organisation=second, role="association")

    own, others = read_as(client, far.head), read_as(client, person("head", second))

    assert "14 March 2018" in own and "14 March 2018" not in others
    assert "Hold the board election" in others


def test_each_part_leads_to_the_returns_behind_it(client, far):
    for n, rule in enumerate(["UC01-S1", "X05", ""]):
        ret = Return.objects.create(
            round=far.years[2025],
            schedule="UNIT",
            subject=far.units[n].frame_id,
            unit=far.units[n],
            cluster=far.cluster,
            collector=far.association,
            state="locked",
            version=1,
            submitted_at=timezone.now(),
            core_share=1 if n else 0.9,
        )
        if rule:
            Flag.objects.create(ret=ret, version=1, question="UC01", rule=rule, severity="warn")
    address = "/workspace/standing/V/returns/?round=2025&part="

    def listed(user, part):
        page = read_as(client, user, address + part)
        return [unit.frame_id in page for unit in far.units]

    assert listed(far.head, "D1") == [True, True, True]
    assert listed(far.head, "D2") == [True, False, False]
    assert listed(far.head, "D3") == [True, False, False]  # what only the data team may know leads nowhere
    assert listed(far.supervisor, "D3") == [True, False, False]  # and D3 does not count it: D7 does
    assert listed(far.supervisor, "D7") == [False, True, False]
    assert listed(person("analyst"), "D5") == [False, False, False]


def test_scores_are_shown_to_a_provisional_cluster_and_its_agency_only_when_published(client, db):
    town = Village(AA04="2018-03-14")
    edition = Edition.objects.create(
        round=town.years[2025],
        methodology=register_methodology(CURRENT),
        snapshot=Snapshot.objects.get(round__year=2025),
        label="2025",
        revision=0,
        state="candidate",
        digest="d" * 64,
    )
    Standing.objects.create(
        edition=edition, cluster=town.cluster, is_ranked=False, reason="association", status="provisional"
    )
    Score.objects.create(edition=edition, cluster=town.cluster, node="CCI", value=43.6)
    assert "Scores, not published" not in read_as(client, town.head)

    Edition.objects.filter(pk=edition.pk).update(state="published")

    for user in (town.head, town.staff):
        page = read_as(client, user)
        assert "Scores, not published" in page and ">44<" in page
    assert "44 of 100" not in read(client, "/clusters/V/")


def test_the_pages_cost_the_same_whatever_stands_in_them(client, far, django_assert_max_num_queries):
    client.force_login(far.head)
    for url, most in (
        ("/workspace/standing/V/?round=2025", 16),
        ("/workspace/standing/V/returns/?round=2025&part=D3", 14),
        ("/workspace/standing/", 10),
    ):
        with django_assert_max_num_queries(most):
            assert client.get(url).status_code == 200


def test_the_workspace_names_the_first_step(client, far):
    page = read_as(client, far.head, "/workspace/")

    assert "Towards a rank" in page
    assert "Bring in 8 more returns and have them accepted." in page
    assert "/workspace/standing/V/?round=2025" in page
    assert "Towards a rank" not in read_as(client, person("analyst"), "/workspace/")


def test_a_cluster_that_is_there_has_no_task(client, db):
    town = Village()

    assert "Towards a rank" not in read_as(client, town.head, "/workspace/")
    assert "has what it needs to be ranked" in read_as(client, town.head)
