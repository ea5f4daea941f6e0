"""The page "why it stands here": plain words, released values only, and who may see more."""

import html
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from cci.bands import letters
from cci.explanations import Previous
from cci.methodology import load_method
from cci.models import Edition, Explanation, Methodology, Standing
from cci.services import compute_edition, register_methodology, store_edition
from clusters.models import AreaOfWork, Cluster, ClusterRole
from facts.models import IndicatorValue, Snapshot
from facts.services.values import register_indicators
from tests.factories import ClusterFactory, OrganisationFactory, before_publication, open_round, person
from tests.panel import panel_tables

METHOD = load_method("1.0")


@pytest.fixture(scope="module")
def computed():
    """The tables of the invented panel, and its editions of 2024 and 2025."""
    tables = panel_tables()
    earlier = compute_edition(tables, 2024, METHOD, "s24")
    before = Previous(
        "2024", earlier["digest"], earlier["scores"], earlier["ranks"]["CCI"], earlier["precision"].intervals
    )
    return tables, earlier, compute_edition(tables, 2025, METHOD, "s25", before)


@pytest.fixture
def edition(computed, db) -> Edition:
    """Both editions stored and published; the later one is compared with the earlier."""
    tables, earlier, later = computed
    register_indicators()
    register_methodology("1.0")
    for code, name in {area: area.title() for area in ("tech", "mkt", "fin", "cap", "infra", "innov")}.items():
        AreaOfWork.objects.get_or_create(code=code, defaults={"name": f"Area {name}", "position": 1})
    for code in tables.codes:
        ClusterFactory(code=code, name=f"Cluster {code}")
    stored(2024, earlier)
    return stored(2025, later)


def stored(year: int, result: dict) -> Edition:
    round_ = open_round(year, state="closed", is_synthetic=True)
    made = Edition.objects.create(round=round_, methodology=Methodology.objects.get(), revision=0, label=str(year))
    snapshot = Snapshot.objects.create(round=round_, digest=f"{year:0<64}", taken_at=timezone.now(), is_synthetic=True)
    store_edition(made, result | {"snapshot": snapshot, "method": METHOD})
    Edition.objects.filter(pk=made.pk).update(state="published", published_at=timezone.now())
    made.refresh_from_db()
    return made


def words(client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200, url
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def of(code: str, label: str = "2025") -> str:
    return f"/cci/{label}/clusters/{code}/"


def content(edition, code: str) -> dict:
    return Explanation.objects.get(edition=edition, cluster__code=code).content


def test_the_page_speaks_plainly_first(client, edition):
    index = content(edition, "PK-SUR-SKT")["index"]

    page = words(client, of("PK-SUR-SKT"))

    assert f"Rank {index['rank']} of {index['n']} with {index['score']:.0f} of 100 points." in page
    assert f"In nine of ten recalculations it lies between {index['low']} and {index['high']}" in page
    assert page.index("Rank ") < page.index("What makes the score") < page.index("How sure this is")
    assert "What moved since 2024" in page
    assert "Demonstration figure, invented" in client.get(of("PK-SUR-SKT")).content.decode()


def test_every_ranked_cluster_has_its_page_and_the_ranking_leads_there(client, edition):
    page = client.get("/cci/2025/").content.decode()

    for standing in Standing.objects.filter(edition=edition, is_ranked=True).select_related("cluster"):
        assert of(standing.cluster.code) in page
        response = client.get(of(standing.cluster.code))
        text = response.content.decode()
        assert response.status_code == 200
        assert not re.search(r"\sstyle=|<style|\son[a-z]+=|javascript:", text)
        assert text.count("<h1") == 1
        assert "None" not in words(client, of(standing.cluster.code))


def test_the_ranking_shows_the_band_among_peers_and_the_partial_indices(client, edition):
    peers = content(edition, "PK-SUR-SKT")["peers"]

    assert f"among {peers['n']} peers {peers['low']}–{peers['high']} , band" in words(client, "/cci/2025/")
    assert "Capacity: score of each ranked cluster" in words(client, "/cci/2025/?pillar=CAPACITY")
    assert "Performance: score of each ranked cluster" in words(client, "/cci/2025/?pillar=PERFORM")


def test_a_withheld_indicator_is_named_nowhere(client, edition):
    """Everything of a cluster withheld: no strength, weakness or step is left on its page."""
    named = content(edition, "IN-AUT-PUN")
    indicators = {one["indicator"] for kind in ("strengths", "weaknesses", "improvements") for one in named[kind]}
    indicators |= {code for pair in named["pairs"] for code in pair["indicators"]}
    assert indicators and named["pairs"]
    with before_publication():
        IndicatorValue.objects.filter(cluster__code="IN-AUT-PUN").update(shown=None, status="Q", reason="too few firms")

    page = client.get(of("IN-AUT-PUN")).content.decode()

    assert not [code for code in indicators if f"/indicators/{code}/" in page]
    assert "No single indicator whose value is released" in page


def test_two_steps_together_are_told_where_both_values_are_released(client, edition):
    code = next(
        one.cluster.code
        for one in Explanation.objects.filter(edition=edition).select_related("cluster")
        if one.content["pairs"] and not one.content["improvements"] and "rank" in one.content["index"]
    )
    first = content(edition, code)["pairs"][0]["indicators"]
    values = IndicatorValue.objects.filter(snapshot=edition.snapshot, cluster__code=code, shown__isnull=False)
    released = values.filter(indicator__code__in=first)
    assert released.count() == 2

    page = words(client, of(code))
    assert "No single indicator whose value is released gains a place. Two together do:" in page
    both = page[page.index("Two together") :]
    assert all(f"/indicators/{one}/" in client.get(of(code)).content.decode() for one in first)
    with before_publication():
        released.filter(indicator__code=first[0]).update(shown=None, status="Q", reason="too few firms")
    now = words(client, of(code))
    assert now[now.index("What would move it up") :] != both
    assert f"/indicators/{first[0]}/" not in client.get(of(code)).content.decode()


def test_steps_start_from_the_released_value_and_not_from_what_enters(client, edition):
    steps = [
        (one.cluster.code, step)
        for one in Explanation.objects.filter(edition=edition).select_related("cluster")
        for step in one.content["improvements"]
    ]
    code, step = next(
        (code, step)
        for code, step in steps
        if IndicatorValue.objects.filter(
            cluster__code=code, indicator__code=step["indicator"], shown__isnull=False
        ).exists()
    )
    with before_publication():
        IndicatorValue.objects.filter(cluster__code=code, indicator__code=step["indicator"]).update(shown=7.77)

    page = words(client, of(code))

    assert "7.77" in page


def test_who_is_not_ranked_shows_the_reason_and_no_figure(client, edition):
    page = words(client, of("PK-AUT-LHE"))

    assert "is not ranked: the association is not yet organised" in page
    assert "What makes the score" not in page
    assert "points" not in page.split("Why Cluster PK-AUT-LHE is not ranked")[-1]


def test_its_association_sees_the_figures_without_a_rank(client, edition):
    association = OrganisationFactory(kind="Association")
    ClusterRole.objects.create(
        cluster=Cluster.objects.get(code="PK-AUT-LHE"), organisation=association, role="association"
    )
    client.force_login(person("head", association))

    page = words(client, of("PK-AUT-LHE"))

    assert "Not for publication" in page and "What makes the score" in page
    assert "How sure this is" not in page
    assert "What makes the score" not in words(client, of("PK-FTW-LHE"))  # another association's


@pytest.mark.parametrize("code", ["NO-WHE-RE", "PK-HID-1"])
def test_a_cluster_that_is_not_public_is_not_found(client, edition, code):
    ClusterFactory(code="PK-HID-1", is_published=False)

    assert client.get(of(code)).status_code == 404
    assert client.get(of("PK-SUR-SKT", "2030")).status_code == 404


def test_a_candidate_is_explained_to_nobody_here(client, edition):
    with before_publication():
        Edition.objects.filter(pk=edition.pk).update(state="candidate")

    assert client.get(of("PK-SUR-SKT")).status_code == 404


def test_an_edition_made_before_explanations_says_so(client, edition):
    with before_publication():
        Explanation.objects.filter(edition=edition).delete()

    assert "before explanations were stored" in words(client, of("PK-SUR-SKT"))
    assert "why it stands here" not in words(client, "/cci/2025/")


def test_the_page_costs_the_same_for_every_cluster(client, edition):
    counts = set()
    for code in ("PK-SUR-SKT", "JP-TAM-TYO", "VN-CER-BTG"):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get(of(code))
        counts.add(len(asked))

    assert max(counts) <= 14


def test_the_methodology_page_shows_the_edition_made_otherwise(client, edition):
    page = words(client, "/cci/2025/methodology/")

    assert "All 21 variants" in page
    assert "Without Ease of regulation" in page
    assert "Arithmetic instead of geometric mean of the pillars" in page
    assert "No ISIC division had 8 clusters in the base rounds" in page


def test_the_api_gives_band_partial_indices_and_contributions(client, edition):
    index = content(edition, "PK-SUR-SKT")
    standing = Standing.objects.get(edition=edition, cluster__code="PK-SUR-SKT")

    row = client.get("/api/v1/rankings/PK-SUR-SKT/").json()
    unranked = client.get("/api/v1/rankings/PK-AUT-LHE/").json()
    scores = client.get("/api/v1/scores/?edition=2025&cluster=PK-SUR-SKT").json()["results"]

    assert row["band"] == letters(standing.band - 1)
    assert row["performance"] == row["pillars"]["O"]
    assert row["capacity"] == round(index["scores"]["CAPACITY"])
    assert (unranked["band"], unranked["capacity"]) == ("", None)
    by_node = {one["node"]: one["contribution"] for one in scores}
    assert sum(by_node[code] for code in "OHSLR") == pytest.approx(by_node["CCI"], abs=0.3)
