"""The public pages, with nothing and with a small world: what they say, what they never say, what they cost."""

import datetime as dt
import html
import re
from pathlib import Path

import pytest
from django.conf import settings as site
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cci.models import Edition, Methodology, Score, Standing
from cci.services import register_methodology
from clusters.models import AreaOfWork, Cluster, ClusterRole, Membership, ProfileFact
from core.jobs.models import Job
from facts.models import Indicator, IndicatorValue, Snapshot
from facts.services.values import register_indicators
from interventions.models import BudgetLine, Intervention
from tests.factories import (
    ClusterFactory,
    CountryFactory,
    OrganisationFactory,
    RegionFactory,
    UserFactory,
    before_publication,
    open_round,
)

SECRET = 41234.5678  # a value as it enters the index, never shown
NODES = ("CCI", "O", "H", "S", "L", "R", "O1")
PAGES = [
    "/",
    "/clusters/",
    "/clusters/?view=map",
    "/clusters/?view=table",
    "/indicators/",
    "/facts/",
    "/interventions/",
    "/agencies/",
]


class World:
    """Ranked clusters in two countries, one unranked, one unpublished; editions 2024, 2025 and its first state."""

    def __init__(self, ranked: int = 7):
        register_methodology("1.0")
        register_indicators()
        japan = CountryFactory(code="JP", iso3="JPN", name="Japan", currency="JPY")
        tokyo = RegionFactory(code="JP-13", name="Tokyo", country=japan)
        self.ranked = [ClusterFactory(code=f"PK-RNK-{n}", name=f"Ranked {n}") for n in range(1, ranked)]
        self.ranked.append(ClusterFactory(code="JP-RNK-9", name="Ranked in Japan", country=japan, region=tokyo))
        self.unranked = ClusterFactory(code="PK-OUT-1", name="Left out")
        self.hidden = ClusterFactory(code="PK-HID-1", name="Hidden cluster", is_published=False)
        self.round = {year: open_round(year, state="closed", is_synthetic=True) for year in (2024, 2025)}
        with before_publication():
            self.old = self.edition("2024", 2024, 0, "published")
            self.first = self.edition("2025", 2025, 0, "superseded")
            self.now = self.edition("2025.1", 2025, 1, "published")
        self.candidate = self.edition("2025.2", 2025, 2, "candidate")

    def edition(self, label, year, revision, state) -> Edition:
        snapshot = Snapshot.objects.create(
            round=self.round[year], digest=f"snapshot {label}", taken_at=timezone.now(), is_synthetic=True
        )
        edition = Edition.objects.create(
            round=self.round[year],
            methodology=Methodology.objects.get(),
            snapshot=snapshot,
            revision=revision,
            label=label,
            state=state,
            digest=f"{label:0<64}",
            engine_version="0.1.0",
            summary={"clusters": len(self.ranked) + 1, "ranked": len(self.ranked), "units": 4179},
            is_synthetic=True,
            published_at=timezone.now() if state in ("published", "superseded") else None,
        )
        n = len(self.ranked)
        for rank, cluster in enumerate([*self.ranked, self.unranked], start=1):
            is_ranked = cluster is not self.unranked
            Standing.objects.create(
                edition=edition,
                cluster=cluster,
                is_ranked=is_ranked,
                reason="" if is_ranked else "response",
                n_units=137,
            )
            for node in NODES:
                Score.objects.create(
                    edition=edition,
                    cluster=cluster,
                    node=node,
                    value=80.4 - rank if is_ranked else 13.37,
                    rank=rank if is_ranked else None,
                    n_ranked=n,
                    rank_low=rank if is_ranked and node == "CCI" else None,
                    rank_high=min(rank + (rank == 3), n) if is_ranked and node == "CCI" else None,
                    coverage=0.9,
                )
            self.value(snapshot, cluster, "O101", shown=1000.0 * rank, value=SECRET + rank)
        self.value(snapshot, self.ranked[0], "H401", status="Q", reason="too few firms", value=SECRET)
        self.value(snapshot, self.ranked[1], "H401", status="O", reason="not reported")
        return edition

    def value(self, snapshot, cluster, code, *, shown=None, value=None, status="A", reason="") -> None:
        IndicatorValue.objects.create(
            snapshot=snapshot,
            cluster=cluster,
            indicator=Indicator.objects.get(code=code),
            value=value,
            shown=shown,
            status=status,
            reason=reason,
            n_units=137,
            coverage=0.9,
        )


@pytest.fixture(scope="session", autouse=True)
def _static_root():
    """WhiteNoise warns of a missing folder, and a warning fails a test."""
    Path(site.STATIC_ROOT).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def world(db):
    return World()


def read(client, url: str) -> str:
    """The page's text, as one line."""
    response = client.get(url)
    assert response.status_code == 200, url
    return " ".join(response.content.decode().split())


def words(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


# --- With nothing, and with a small world ----------------------------------------------------


@pytest.mark.parametrize("url", [*PAGES, "/cci/"])
def test_every_page_works_with_nothing_loaded(client, db, url):
    read(client, url)


@pytest.mark.parametrize(
    "url",
    [
        *PAGES,
        "/clusters/PK-RNK-1/",
        "/clusters/PK-OUT-1/",
        "/cci/2025.1/",
        "/cci/2025/",
        "/cci/2025.1/?pillar=S&sort=name",
        "/cci/2025.1/methodology/",
        "/indicators/O101/",
        "/indicators/H401/",
    ],
)
def test_every_page_works_with_a_small_world_and_holds_nothing_inline(client, world, url):
    page = read(client, url)

    assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", page)
    assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", page))
    assert page.count("<h1") == 1


def test_no_page_shows_what_enters_the_index_or_an_exact_count(client, world):
    urls = [
        *PAGES,
        "/clusters/PK-RNK-1/",
        "/clusters/PK-OUT-1/",
        "/cci/2025.1/",
        "/indicators/O101/",
        "/indicators/H401/",
    ]

    for url in urls:
        page = read(client, url)
        assert "41,23" not in page
        assert "4123" not in page
        assert "137" not in words(page)
        assert "4,179" not in page
        assert "13.37" not in page


def test_invented_figures_are_marked(client, world):
    for url in (
        "/",
        "/clusters/",
        "/cci/2025.1/",
        "/clusters/PK-RNK-1/",
        "/indicators/O101/",
        "/cci/2025.1/methodology/",
    ):
        assert "Demonstration figure, invented" in read(client, url), url


def test_real_figures_are_not_marked(client, world, settings):
    settings.DEMO = False
    with before_publication():
        Edition.objects.update(is_synthetic=False)

    assert "invented" not in read(client, "/cci/2025.1/")
    assert "invented" not in read(client, "/clusters/PK-RNK-1/")


# --- What is not public ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "/cci/2025.2/",
        "/cci/2025.2/methodology/",
        "/cci/1999/",
        "/cci/nonsense/",
        "/clusters/PK-HID-1/",
        "/clusters/nowhere/",
        "/indicators/Z999/",
        "/agencies/nobody/",
        "/interventions/999999/",
    ],
)
def test_what_is_not_public_is_not_found(client, world, url):
    assert client.get(url).status_code == 404


def test_an_unpublished_cluster_stands_nowhere(client, world):
    with before_publication():
        Standing.objects.create(edition=world.now, cluster=world.hidden, is_ranked=False, reason="copied")
        world.value(world.now.snapshot, world.hidden, "O101", shown=5.0, value=5.0)

    for url in ("/", "/clusters/", "/cci/2025.1/", "/indicators/O101/"):
        assert "Hidden cluster" not in read(client, url)


# --- The ranking -----------------------------------------------------------------------------


def test_the_index_leads_to_the_latest_published_edition(client, world):
    assert client.get("/cci/").headers["Location"] == "/cci/2025.1/"


def test_a_superseded_edition_stays_and_leads_to_the_current_one(client, world):
    page = read(client, "/cci/2025/")

    assert "A later revision replaces this edition" in page
    assert 'href="/cci/2025.1/"' in page


def test_a_bare_year_finds_the_edition_published_for_it(client, world):
    Edition.objects.filter(label="2025").update(state="withdrawn")

    assert "Index 2025.1" in read(client, "/cci/2025/")


def test_ranks_stand_with_their_intervals_and_bands(client, world):
    page = words(read(client, "/cci/2025.1/"))

    assert "7 of 8 clusters are ranked. Ranked 1 stands first with 79 of 100" in page
    assert "Bands A–B · one cluster each, their places hold in nine of ten recalculations" in page
    assert "Band C · 2 clusters between ranks 3 and 4; their order is not settled" in page
    assert "3–4" in page
    assert "no clear move" in page


def test_who_is_not_ranked_is_named_with_the_reason_and_no_score(client, world):
    page = words(read(client, "/cci/2025.1/"))

    assert "Left out Pakistan not ranked: too few of its firms answered" in page
    assert "Cluster (1)" in page


def test_filters_keep_the_ranks_of_the_whole(client, world):
    page = words(read(client, "/cci/2025.1/?country=jp"))

    assert "1 ranked cluster in Japan; ranks are those of the whole edition, of 7." in page
    assert "Ranked in Japan" in page
    assert "Ranked 1" not in page.split("Scores and ranks")[1]
    assert "7–7" in page
    assert "Left out" not in page


def test_the_ranking_sorts_by_name(client, world):
    page = read(client, "/cci/2025.1/?sort=name")

    assert page.index(">Ranked 1<") < page.index(">Ranked in Japan<")
    assert "Band C ·" not in words(page)


def test_a_move_is_named_only_beyond_the_noise(client, world):
    first, second = world.ranked[:2]
    with before_publication():
        Score.objects.filter(edition=world.old, node="CCI", cluster=first).update(rank=2, rank_low=2, rank_high=2)
        Score.objects.filter(edition=world.old, node="CCI", cluster=second).update(rank=1, rank_low=1, rank_high=1)

    assert "up 1 place" in words(read(client, "/cci/2025.1/"))
    assert "2 moved beyond the noise since 2024" in words(read(client, "/"))
    assert "Up 1 place since 2024" in words(read(client, "/clusters/PK-RNK-1/"))


def test_editions_of_another_methodology_are_not_compared(client, world):
    other = Methodology.objects.create(
        version="0.9", title="Older", digest="older", definition={}, author="somebody", review_on=dt.date(2027, 1, 1)
    )
    with before_publication():
        Edition.objects.filter(label="2024").update(methodology=other)

    assert "Since 2024" not in words(read(client, "/cci/2025.1/"))
    assert "There is no earlier edition to compare with" in words(read(client, "/"))


def test_the_methodology_is_written_from_its_data(client, world):
    page = words(read(client, "/cci/2025.1/methodology/"))

    assert "N7 Missing values" in page
    assert "All 65 goalposts" in page
    assert "at least 15 operating firms answered" in page
    assert world.now.digest in page
    assert "Draft, not checked Methodology 1.0" in page


# --- The profile -----------------------------------------------------------------------------


def test_a_profile_says_where_the_cluster_stands_and_how_sure(client, world):
    page = words(read(client, "/clusters/PK-RNK-3/"))

    assert "Scores 77 of 100 : band C, ranks 3–4 of 7 in 2025." in page
    assert "No move beyond the noise since 2024" in page
    assert "100+ operating firms answered" in page


def test_a_withheld_value_says_so_and_a_missing_one_too(client, world):
    assert "withheld: too few firms" in read(client, "/clusters/PK-RNK-1/")
    assert "not reported" in read(client, "/clusters/PK-RNK-2/")
    assert "withheld: too few firms" in read(client, "/indicators/H401/") or "withheld or not reported" in read(
        client, "/indicators/H401/"
    )


def test_an_unranked_cluster_learns_why_and_what_would_change_it(client, world):
    page = words(read(client, "/clusters/PK-OUT-1/"))

    assert "Not ranked in 2025: too few of its firms answered." in page
    assert "Accepted returns from at least 50 % of its firms" in page


def test_facts_stand_side_by_side_with_the_organisation_that_entered_them(client, world):
    office = OrganisationFactory(name="Provincial office")
    clerk = UserFactory(username="asma", display_name="Asma the clerk")
    Membership.objects.create(user=clerk, organisation=office, role="staff")
    for value, source, state in (
        ("340", "Survey", "published"),
        ("410", "Register", "published"),
        ("999", "Rumour", "proposed"),
    ):
        ProfileFact.objects.create(
            cluster=world.ranked[0],
            section="size",
            label="Firms",
            value=value,
            year=2024,
            source=source,
            state=state,
            entered_by=clerk,
        )

    page = words(read(client, "/clusters/PK-RNK-1/"))

    assert "340" in page
    assert "410" in page
    assert "sources differ: both stand here" in page
    assert "Provincial office" in page
    assert "Asma" not in page
    assert "asma" not in page
    assert "Rumour" not in page


def test_strengths_need_five_peers(client, world):
    assert "Value added per person engaged" in read(client, "/clusters/PK-RNK-1/").split("Three weaknesses")[1]

    with before_publication():
        IndicatorValue.objects.filter(cluster__in=world.ranked[3:]).delete()

    assert "Too few clusters show values to compare with" in read(client, "/clusters/PK-RNK-1/")


# --- Explorer, home, indicators --------------------------------------------------------------


def test_filters_are_said_in_words_and_counted(client, world):
    assert "1 cluster in Japan" in words(read(client, "/clusters/?country=JP"))
    assert "8 clusters sector 32" in words(read(client, "/clusters/?sector=32"))
    assert "0 clusters matching “zzz”" in words(read(client, "/clusters/?q=zzz"))
    assert "No cluster here" in read(client, "/clusters/?q=zzz")


def test_a_map_has_a_linked_dot_for_each_place(client, world):
    page = read(client, "/clusters/?view=map")

    assert page.count("map-dot") >= 8
    assert 'href="/clusters/PK-RNK-1/" aria-label="Ranked 1' in page
    assert "Open Database License" in page


def test_groups_stand_apart(client, world):
    ClusterFactory(code="PK-GRP-1", name="Towns of one trade", kind="group", latitude=None, longitude=None)

    page = read(client, "/clusters/")

    assert "1 group of clusters" in words(page)
    assert page.index("Groups of clusters") < page.index("Towns of one trade")


def test_home_says_what_is_known_and_what_comes_next(client, world):
    open_round(timezone.localdate().year + 1, releases_on=timezone.localdate() + dt.timedelta(days=400))

    page = words(read(client, "/"))

    assert "7 of 8 clusters are ranked for 2025" in page
    assert "about 4,200" in page
    assert "No change beyond noise among the 7 clusters ranked both times" in page
    assert "Edition" in page.split("What comes next")[1]


def test_home_tells_how_far_the_loading_is(client, db):
    Job.objects.create(kind="load_demo", key="demo", state="running", stage="Inventing firms", done=2, total=100)

    response = client.get("/")
    page = words(response.content.decode())

    assert response.headers["Refresh"] == "5"
    assert "Inventing firms" in page
    assert "You may close this page" in page
    assert "2 %" in page


def test_home_says_when_the_loading_stopped(client, db):
    Job.objects.create(kind="load_demo", key="demo", state="dead", error="a trace")

    page = read(client, "/")

    assert "were not loaded" in page
    assert "a trace" not in page


def test_an_indicator_names_its_leaders_from_ten_values_on(client, world):
    page = words(read(client, "/indicators/O101/"))
    assert "Who leads is named from 10 published values on" in page
    assert "more is better" in page
    assert 'href="/facts/#UB01"' in read(client, "/indicators/O101/")

    with before_publication():
        for n in range(4):
            world.value(world.now.snapshot, ClusterFactory(name=f"More {n}"), "O101", shown=90_000.0 + n, value=1.0)

    assert "More 3 leads with 90,003" in words(read(client, "/indicators/O101/"))


def test_the_instrument_has_an_anchor_for_every_question(client, world):
    page = read(client, "/facts/")

    assert 'id="UB01"' in page
    assert 'id="AB01"' in page
    assert "Your answers are used for statistics only" in page
    assert 'href="/indicators/O101/"' in page


# --- Interventions and agencies --------------------------------------------------------------


def test_the_register_prints_amounts_as_the_source_does(client, world):
    whole = Intervention.objects.create(code="A", title="A programme", kind="programme", start_text="mid-2001")
    part = Intervention.objects.create(code="A-1", title="A part", parent=whole)
    odd = Intervention.objects.create(code="B", title="An odd one")
    secret = Intervention.objects.create(code="C", title="Not yet public", is_published=False)
    BudgetLine.objects.create(intervention=whole, amount=6_000_000, currency="USD", as_printed="US$ 6 million")
    BudgetLine.objects.create(intervention=part, amount=1_000_000, currency="USD", as_printed="US$ 1 million")
    BudgetLine.objects.create(intervention=odd, as_printed="total of $280 Bn", is_suspect=True, note="A slip of unit.")

    page = words(read(client, "/interventions/"))

    assert "3 interventions on the register. Amounts that can be added: 6 million USD in 1 record." in page
    assert "mid-2001" in page
    assert "total of $280 Bn not credible" in page
    assert "Not yet public" not in page
    assert "A slip of unit." in read(client, f"/interventions/{odd.pk}/")
    assert "Its parts" in read(client, f"/interventions/{whole.pk}/")
    assert client.get(f"/interventions/{secret.pk}/").status_code == 404


def test_the_register_filters_by_country_and_kind(client, world):
    here = Intervention.objects.create(code="A", title="Here", kind="soft")
    here.clusters.set(world.ranked[:3])
    Intervention.objects.create(code="B", title="Elsewhere", kind="hard")

    assert "1 intervention in Pakistan" in words(read(client, "/interventions/?country=PK"))
    assert "Elsewhere" not in read(client, "/interventions/?kind=soft")


def test_the_matrix_counts_its_columns(client, db):
    areas = [AreaOfWork.objects.create(code=f"a{n}", name=f"Area {n}", position=n) for n in (1, 2)]
    bank = OrganisationFactory(name="A bank", group="Banks", position=1, kind="bank")
    bank.areas.set(areas)
    OrganisationFactory(name="Another", group="Banks", position=2, kind="bank").areas.set(areas[:1])
    merged = OrganisationFactory(name="Old body", kind="government", merged_into=bank)

    page = words(read(client, "/agencies/"))

    assert "2 agencies over 2 areas of work; 1 work in all of them. Fewest, 1 each, work on area 2." in page
    assert "Agencies in the area 2 1" in page
    assert "Old body" in page
    assert "has since become part of another" in read(client, f"/agencies/{merged.slug}/")


# --- What pages cost -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    ["/", "/clusters/", "/clusters/?view=map", "/cci/2025.1/", "/indicators/", "/indicators/O101/", "/interventions/"],
)
def test_queries_do_not_grow_with_rows(client, world, url):
    def more(n: int) -> None:
        for i in range(n):
            cluster = ClusterFactory.create(code=f"PK-MOR-{Cluster.objects.count()}", name=f"More {i}")
            rank = 50 + Cluster.objects.count()
            Standing.objects.create(edition=world.now, cluster=cluster, is_ranked=True)
            Score.objects.create(
                edition=world.now, cluster=cluster, node="CCI", value=5, rank=rank, rank_low=rank, rank_high=rank
            )
            world.value(world.now.snapshot, cluster, "O101", shown=1.0, value=1.0)
            one = Intervention.objects.create(code=f"I-{cluster.pk}", title="More", lead=OrganisationFactory())
            one.clusters.add(cluster)
            BudgetLine.objects.create(intervention=one, amount=1, currency="USD", as_printed="US$ 1")

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(client, url)
        return len(queries)

    with before_publication():
        more(2)
    client.get(url)
    before = count()
    with before_publication():
        more(6)

    assert count() == before


def test_the_register_names_nothing_that_is_not_public(client, world):
    whole = Intervention.objects.create(code="A", title="A silent programme", is_published=False)
    part = Intervention.objects.create(code="A-1", title="A part", parent=whole)
    part.clusters.set([world.hidden])

    for url in ("/interventions/", f"/interventions/{part.pk}/"):
        page = read(client, url)
        assert "A silent programme" not in page
        assert "Hidden cluster" not in page


def test_who_looks_after_an_unpublished_cluster_sees_it_without_a_standing(client, world):
    office = OrganisationFactory(name="Provincial office")
    ClusterRole.objects.create(cluster=world.hidden, organisation=office, role="lead_agency")
    staff = UserFactory()
    Membership.objects.create(user=staff, organisation=office, role="staff")
    client.force_login(staff)

    page = read(client, "/clusters/PK-HID-1/")

    assert "This profile is not published" in page
    assert "of 100" not in words(page)
