"""Reading: who may, what never comes out, and the same rows in every format."""

import csv
import io
import json

import openpyxl
import pytest

from clusters.models import ClusterAlias, Unit
from core.policy import Role, matrix
from facts.models import Return
from facts.services.imports import Row, save_drafts
from observatory.api.renderers import CSVRenderer, XLSXRenderer
from observatory.api.router import ENDPOINTS, router
from tests.factories import ClusterFactory, OrganisationFactory, before_publication
from tests.facts.valid_returns import UNIT

from .world import CANARIES, NODES

V1 = "/api/v1/"
PREFIXES = [prefix for prefix, *_ in router.registry]
RESTRICTED = {"units", "returns"}
PUBLIC = [prefix for prefix in PREFIXES if prefix not in RESTRICTED]
ROLES = [role.value for role in Role]
PROMISED = [
    *("regions", "sectors", "clusters", "units", "associations", "agencies"),
    *("rounds", "instruments", "questions", "returns", "indicators"),
    *("indicator-values", "editions", "scores", "rankings"),
    *("releases", "errata", "revision-changes"),
    *("interventions", "schemes"),
]


def rows(response) -> list[dict]:
    assert response.status_code == 200, response.content
    return response.json()["results"]


@pytest.fixture
def filed(world):
    """One unit return of the town's association, and one of the other town's."""
    for town in (world, world.other):
        save_drafts(
            round_=world.round,
            schedule_code="UNIT",
            rows=[Row(town.units[0].frame_id, UNIT, "")],
            by=town.entry,
            channel="web",
            keep_failing=True,
        )
    return world


# --- who may ------------------------------------------------------------------------------------------


def test_the_endpoints_are_those_promised():
    assert PREFIXES == PROMISED


@pytest.mark.parametrize("prefix", PREFIXES)
def test_lists_answer_as_the_matrix_says(world, api, prefix):
    viewset = next(viewset for name, viewset, _ in ENDPOINTS if name == prefix)
    row = matrix()[viewset.policy_actions["list"]]
    for role, user in world.people().items():
        may = Role.ANONYMOUS in row or Role(role) in row
        expected = 200 if may else 401 if user is None else 403
        assert api(user).get(f"{V1}{prefix}/").status_code == expected, role


def test_only_units_and_returns_are_restricted(world, api):
    assert {prefix for prefix in PREFIXES if api().get(f"{V1}{prefix}/").status_code == 401} == RESTRICTED


@pytest.mark.parametrize("prefix", PREFIXES)
def test_no_endpoint_lets_a_stranger_write(db, api, prefix):
    for method in ("post", "put", "patch", "delete"):
        for address in (f"{V1}{prefix}/", f"{V1}{prefix}/x/"):
            assert getattr(api(), method)(address, {}, format="json").status_code in (401, 405)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_nobody_writes_but_through_the_door_for_returns(world, api, prefix):
    for user in (world.head, world.client, world.supervisor, world.analyst, world.admin):
        for method in ("put", "delete") if prefix == "returns" else ("put", "patch", "delete"):
            assert getattr(api(user), method)(f"{V1}{prefix}/x/", {}, format="json").status_code == 405
        if prefix != "returns":
            assert api(user).post(f"{V1}{prefix}/", {}, format="json").status_code == 405


def test_units_are_those_of_ones_own_cluster(world, api):
    own = {unit.frame_id for unit in world.units}

    assert {row["frame_id"] for row in rows(api(world.entry).get(f"{V1}units/"))} == own
    foreign = api(world.entry).get(f"{V1}units/{world.other.units[0].frame_id}/")
    absent = api(world.entry).get(f"{V1}units/NO-SUCH-UNIT/")
    assert foreign.status_code == absent.status_code == 404
    assert foreign.content == absent.content
    assert len(rows(api(world.analyst).get(f"{V1}units/"))) == 6


def test_returns_are_ones_own_and_hold_no_answers(filed, api):
    own, foreign = Return.objects.order_by("pk")

    found = rows(api(filed.entry).get(f"{V1}returns/"))
    assert [row["id"] for row in found] == [own.pk]
    assert found[0]["state"] == "draft"
    assert "2400000" not in json.dumps(found)
    assert api(filed.entry).get(f"{V1}returns/{own.pk}/").json()["subject"] == own.subject
    refused = api(filed.entry).get(f"{V1}returns/{foreign.pk}/")
    absent = api(filed.entry).get(f"{V1}returns/999999/")
    assert refused.status_code == absent.status_code == 404
    assert refused.content == absent.content
    assert {row["id"] for row in rows(api(filed.auditor).get(f"{V1}returns/"))} == {own.pk, foreign.pk}


@pytest.mark.parametrize("name", ["cluster", "subject"])
def test_a_filter_does_not_tell_of_foreign_returns(filed, api, name):
    foreign = Return.objects.order_by("pk").last()
    value = foreign.cluster.code if name == "cluster" else foreign.subject

    assert rows(api(filed.entry).get(f"{V1}returns/?{name}={value}")) == []


def test_an_answer_to_a_token_is_not_kept_by_caches(world, api):
    response = api(world.entry).get(f"{V1}units/")

    assert response["Cache-Control"] == "no-store"
    assert "Authorization" in response["Vary"]


def test_a_wrong_token_is_401_also_where_everybody_may_read(db, api):
    client = api()
    client.credentials(HTTP_AUTHORIZATION="Token nonsense")

    response = client.get(f"{V1}clusters/?format=nonsense")
    assert response.status_code == 406
    response = client.get(f"{V1}clusters/")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Token"


# --- what never comes out -------------------------------------------------------------------------------


def details(prefix, client):
    """Addresses of a list's objects."""
    key = {
        "associations": "slug",
        "agencies": "slug",
        "schemes": "slug",
        "rounds": "year",
        "instruments": "version",
        "editions": "label",
        "indicator-values": "id",
        "scores": "id",
        "rankings": "cluster",
        "releases": "id",
        "errata": "id",
        "revision-changes": "id",
    }.get(prefix, "code")
    for row in rows(client.get(f"{V1}{prefix}/?page_size=1000")):
        yield f"{V1}{prefix}/{row[key]}/"


@pytest.mark.parametrize("prefix", PUBLIC)
def test_no_exact_figure_no_count_and_nothing_unpublished_comes_out(world, api, prefix):
    client = api()
    texts = [client.get(f"{V1}{prefix}/?page_size=1000&format={format_}").content for format_ in ("json", "csv")]
    texts += [client.get(address).content for address in list(details(prefix, client))[:80]]

    for text in texts:
        for canary in CANARIES:
            assert canary.encode() not in text, canary


@pytest.mark.parametrize("prefix", ["scores", "indicator-values", "rankings"])
def test_scores_and_values_of_a_candidate_are_hidden_from_analysts_too(world, api, prefix):
    for user in (world.analyst, world.auditor):
        found = rows(api(user).get(f"{V1}{prefix}/?page_size=1000"))
        assert {row["edition"] for row in found} <= {"2025", "2024", "2024.1"}


def test_analysts_see_unpublished_editions_and_others_do_not(world, api):
    labels = {user: {row["label"] for row in rows(api(user).get(f"{V1}editions/"))} for user in (world.analyst, None)}

    assert labels[None] == {"2025", "2024.1", "2024"}
    assert "2026-provisional" in labels[world.analyst]
    assert api().get(f"{V1}editions/2025.1/").content == api().get(f"{V1}editions/never/").content


def test_an_unpublished_edition_is_refused_like_one_that_never_was(world, api):
    for prefix in ("scores", "rankings", "indicator-values"):
        answers = [api().get(f"{V1}{prefix}/?edition={label}") for label in ("2025.1", "1999")]
        assert {answer.status_code for answer in answers} == {400}
        assert answers[0].content == answers[1].content


def test_an_unpublished_cluster_is_nowhere(world, api):
    assert api().get(f"{V1}clusters/{world.hidden.code}/").status_code == 404
    assert api().get(f"{V1}rankings/{world.hidden.code}/").status_code == 404
    assert rows(api().get(f"{V1}scores/?cluster={world.hidden.code}")) == []
    assert rows(api().get(f"{V1}indicator-values/?cluster={world.hidden.code}")) == []


def test_a_value_is_the_shown_one_with_status_band_and_mark(world, api):
    row = rows(api().get(f"{V1}indicator-values/?edition=2025&cluster={world.cluster.code}"))[0]

    assert row["value"] == 41200.0
    assert (row["status"], row["status_name"], row["n_units_band"]) == ("A", "normal", "100+")
    assert (row["edition"], row["year"], row["is_synthetic"]) == ("2025", 2025, True)


def test_a_value_of_a_shared_snapshot_names_the_published_edition(world, api):
    older, newer = world.editions["2024"], world.editions["2024.1"]
    with before_publication():
        older.snapshot.values.all().delete()
        type(older).objects.filter(pk=older.pk).update(snapshot=newer.snapshot)

    assert {row["edition"] for row in rows(api().get(f"{V1}indicator-values/?year=2024"))} == {"2024.1"}
    assert {row["edition"] for row in rows(api().get(f"{V1}indicator-values/?edition=2024"))} == {"2024"}


def test_scores_are_whole_points_of_ranked_clusters_and_ranks_come_with_their_interval(world, api):
    unranked = ClusterFactory(code="PK-UNR-1")
    world.furnish(unranked, is_ranked=False)

    found = rows(api().get(f"{V1}scores/?page_size=1000"))
    assert unranked.code not in {row["cluster"] for row in found}
    assert {row["node"] for row in found} == set(NODES)
    for row in found:
        assert isinstance(row["value"], int)
        assert (row["rank"] is None) == (row["rank_low"] is None)
    index = next(row for row in found if row["node"] == "CCI")
    assert (index["value"], index["coverage"], index["node_name"]) == (62, 0.99, "Cluster Competitiveness Index")


def test_the_ranking_is_of_the_latest_edition_in_order_and_says_why_one_is_not_ranked(world, api):
    unranked = ClusterFactory(code="PK-UNR-1", name="Aaa, first in the alphabet")
    world.furnish(unranked, is_ranked=False)

    found = rows(api().get(f"{V1}rankings/"))
    assert {row["edition"] for row in found} == {"2025"}
    assert [row["cluster"] for row in found] == [world.cluster.code, world.other.cluster.code, unranked.code]
    first, last = found[0], found[-1]
    assert (first["score"], first["pillars"]["O"], first["rank_low"], first["rank_high"]) == (62, 63, 1, 2)
    assert (last["score"], last["rank"], set(last["pillars"].values())) == (None, None, {None})
    assert last["reason_text"] == "too few of its firms answered"
    assert rows(api().get(f"{V1}rankings/?is_ranked=false&edition=2024"))[0]["edition"] == "2024"
    one = api().get(f"{V1}rankings/{world.cluster.code}/?edition=2024.1").json()
    assert (one["cluster"], one["edition"]) == (world.cluster.code, "2024.1")


def test_without_a_published_edition_the_ranking_is_empty(world, api):
    world.editions["2025"].__class__.objects.update(state="withdrawn")

    assert rows(api().get(f"{V1}rankings/")) == []
    assert api().get(f"{V1}editions/latest/").status_code == 404
    assert api().get(f"{V1}rankings/?edition=latest").status_code == 400


def test_latest_names_the_latest_published_edition(world, api):
    assert api().get(f"{V1}editions/latest/").json() == api().get(f"{V1}editions/2025/").json()


def test_a_cluster_shows_published_facts_only_and_its_organisations(world, api):
    found = api().get(f"{V1}clusters/{world.cluster.code}/").json()

    assert [fact["value"] for fact in found["facts"]] == ["340"]
    assert {entry["role"] for entry in found["organisations"]} == {"association", "lead_agency"}


def test_an_intervention_names_published_clusters_and_a_currency(world, api):
    secret = api().get(f"{V1}interventions/I-{world.hidden.code}/")
    found = api().get(f"{V1}interventions/I-{world.other.cluster.code}/").json()

    assert secret.status_code == 404
    assert found["clusters"] == sorted([world.cluster.code, world.other.cluster.code])
    assert found["budget_lines"][0]["amount"] == 235000.5
    assert found["budget_lines"][0]["currency"] == "USD"
    assert found["starts_on"] == "2020-01-01"


def test_associations_and_agencies_share_no_row(world, api):
    associations, agencies = (
        {row["slug"] for row in rows(api().get(f"{V1}{prefix}/"))} for prefix in ("associations", "agencies")
    )

    assert world.association.slug in associations
    assert world.agency.slug in agencies
    assert not associations & agencies


def test_a_question_brings_its_options_but_not_those_of_staff(world, api):
    found = api().get(f"{V1}questions/UA01/").json()

    assert found["options"][0]["code"] == 1
    assert len(found["options"]) == 6  # 7 and 8 are set by field staff


# --- formats ---------------------------------------------------------------------------------------------


def as_text(value) -> str:
    """A JSON cell as CSV writes it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def flat_rows(client, address):
    for row in rows(client.get(address)):
        flat = {}
        for key, value in row.items():
            if isinstance(value, dict):
                flat.update({f"{key}_{part}": inner for part, inner in value.items()})
            elif not isinstance(value, list):
                flat[key] = value
        yield flat


@pytest.mark.parametrize("prefix", PREFIXES)
def test_json_csv_and_xlsx_hold_the_same_rows(filed, api, prefix):
    client = api(filed.entry)
    expected = list(flat_rows(client, f"{V1}{prefix}/"))

    answer = client.get(f"{V1}{prefix}/?format=csv")
    assert answer["Content-Type"].startswith("text/csv")
    assert f'filename="{prefix}.csv"' in answer["Content-Disposition"]
    from_csv = list(csv.DictReader(io.StringIO(answer.content.decode())))
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{V1}{prefix}/?format=xlsx").content))
    heading, *lines = book.active.iter_rows(values_only=True)
    from_xlsx = [dict(zip(heading, line, strict=True)) for line in lines]

    assert len(expected) == len(from_csv) == len(from_xlsx) > 0
    for wanted, text, cells in zip(expected, from_csv, from_xlsx, strict=True):
        for key, value in wanted.items():
            assert text[key] == as_text(value)
            assert cells[key] == value


def test_a_file_without_rows_keeps_its_heading(db, api):
    answer = api().get(f"{V1}clusters/?q=nothing&format=csv&fields=code,name")

    assert answer.content == b"code,name\r\n"


def test_the_accept_header_chooses_the_format_too_and_the_query_wins(world, api):
    client = api()

    assert client.get(f"{V1}rounds/", HTTP_ACCEPT="text/csv").content.startswith(b"year,")
    assert client.get(f"{V1}rounds/?format=json", HTTP_ACCEPT="text/csv").json()["results"]


def test_the_same_rows_give_the_same_file(world, api):
    first, second = (api().get(f"{V1}clusters/?format=xlsx") for _ in range(2))

    assert first.content == second.content


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_text_that_begins_like_a_formula_is_disarmed_in_files(text):
    data = [{"name": text, "list": [text, "x"], "number": -1}]

    row = list(csv.reader(io.StringIO(CSVRenderer().render(data).decode(), newline="")))[1]
    assert row[:2] == ["'" + text, "'" + text + "; x"]
    assert row[2] == "-1"
    sheet = openpyxl.load_workbook(io.BytesIO(XLSXRenderer().render(data))).active
    assert sheet["A2"].data_type == "s"
    assert sheet["A2"].value.startswith("'")
    assert sheet["C2"].value == -1


def test_a_dangerous_name_is_disarmed_on_the_way_out_of_the_database(world, api):
    ClusterFactory(code="PK-EVIL-1", name='=HYPERLINK("http://evil")')

    assert b",\"'=HYPERLINK(" in api().get(f"{V1}clusters/?format=csv").content
    assert '"name":"=HYPERLINK(' in api().get(f"{V1}clusters/").content.decode()


# --- fields, filters, pages, order -----------------------------------------------------------------------


def test_fields_leave_the_rest_out_and_keep_the_mark(world, api):
    assert set(rows(api().get(f"{V1}clusters/?fields=code,name"))[0]) == {"code", "name"}
    assert set(rows(api().get(f"{V1}rankings/?fields=cluster,rank"))[0]) == {"cluster", "rank", "is_synthetic"}
    assert set(api().get(f"{V1}clusters/{world.cluster.code}/?fields=name").json()) == {"name"}


@pytest.mark.parametrize(
    ("address", "parameter", "code"),
    [
        ("clusters/?fields=code,valeu", "fields", "unknown_field"),
        ("indicator-values/?fields=n_units", "fields", "unknown_field"),
        ("clusters/?contry=IN", "contry", "unknown_parameter"),
        ("clusters/?stage=9", "stage", "invalid_choice"),
        ("rounds/2025/?country=IN", "country", "unknown_parameter"),
        ("rankings/?edition=1999", "edition", "no_such_edition"),
        ("rankings/?is_ranked=perhaps", "is_ranked", "invalid_choice"),
        ("indicator-values/?year=2025.5", "year", "invalid"),
        ("indicator-values/?year=99999999999999999999", "year", "max_value"),
        ("indicator-values/?indicator__code=O101", "indicator__code", "unknown_parameter"),
        ("clusters/?q=" + "a " * 60, "q", "too_long"),
        ("clusters/?q=%00", "q", "null_characters_not_allowed"),
        ("clusters/?page_size=many", "page_size", "invalid"),
        ("clusters/?page_size=0", "page_size", "invalid"),
        ("scores/?page=2", "page", "unknown_parameter"),
        ("clusters/?cursor=x", "cursor", "unknown_parameter"),
        ("clusters/?ordering=name", "ordering", "unknown_parameter"),
    ],
)
def test_what_is_not_right_in_the_query_string_is_named(db, api, address, parameter, code):
    response = api().get(V1 + address)

    assert response.status_code == 400
    assert (response.json()["errors"][0]["parameter"], response.json()["errors"][0]["code"]) == (parameter, code)


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("clusters/?country=pk", 2),
        ("clusters/?country=IN", 0),
        ("clusters/?sector=14&country=PK", 2),
        ("clusters/?q=old", 2),
        ("agencies/?country=PK", 3),
        ("interventions/?country=PK", 2),
        ("interventions/?agency=nobody", 0),
        ("rankings/?country=PK&sector=1410", 2),
        ("rankings/?country=IN", 0),
        ("scores/?edition=2025&node=cci", 2),
        ("indicator-values/?edition=latest&indicator=O101", 2),
        ("indicator-values/?year=2024&region=PK-PB&indicator=O101", 4),
        ("indicator-values/?status=Q", 0),
        ("questions/?schedule=UNIT&core=true&section=UA", None),
        ("indicators/?pillar=o", None),
        ("rounds/?state=open", 1),
        ("editions/?year=2024", 2),
        ("regions/?country=PK", 1),
        ("sectors/?level=4&q=apparel", 1),
        ("schemes/?q=scheme", 1),
        ("associations/?country=IN", 0),
    ],
)
def test_filters_find_what_they_name(world, api, address, count):
    world.area.organisations.update(country="PK")
    found = rows(api().get(V1 + address))

    assert (len(found) == count) if count is not None else found


def test_associations_are_found_by_the_cluster_they_represent(world, api):
    found = rows(api().get(f"{V1}associations/?cluster={world.cluster.code.lower()}"))

    assert [(row["slug"], row["clusters"]) for row in found] == [(world.association.slug, [world.cluster.code])]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_pages_together_are_the_whole_list_in_one_order(filed, api, prefix):
    client = api(filed.analyst)
    if prefix == "sectors":
        pytest.skip("this world has one sector")
    whole = rows(client.get(f"{V1}{prefix}/?page_size=1000"))
    address, collected = f"{V1}{prefix}/?page_size=3", []
    for _ in range(60):
        answer = client.get(address)
        collected += rows(answer)
        address = answer.json()["next"]
        if not address:
            break
        assert f'<{address}>; rel="next"' in answer["Link"]
    assert collected == whole[: len(collected)]
    assert address or len(collected) == len(whole)


def test_a_page_holds_a_hundred_unless_told_and_a_thousand_at_most(world, api):
    Unit.objects.bulk_create(Unit(frame_id=f"X-{n}", cluster=world.cluster) for n in range(1100))
    client = api(world.entry)

    assert len(rows(client.get(f"{V1}units/"))) == 100
    assert len(rows(client.get(f"{V1}units/?page_size=5000"))) == 1000
    assert len(rows(client.get(f"{V1}units/?page_size=7"))) == 7


@pytest.mark.parametrize("cursor", ["x", "cD1hYmM=", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "é"])
def test_a_forged_cursor_is_404(db, api, cursor):
    assert api().get(f"{V1}scores/?cursor={cursor}").status_code == 404


@pytest.mark.parametrize("page", ["0", "-1", "99", "x", "9" * 40])
def test_a_page_that_is_not_there_is_404(db, api, page):
    assert api().get(f"{V1}clusters/?page={page}").status_code == 404


# --- cost and conditional requests ---------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", PREFIXES)
def test_a_list_costs_the_same_for_few_and_for_many(filed, api, prefix):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client = api(filed.analyst)
    address = f"{V1}{prefix}/?page_size=1000"
    client.get(address)
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(address)
    for number in range(4):
        cluster = ClusterFactory(code=f"PK-MORE-{number}")
        filed.furnish(cluster)
        association = OrganisationFactory(kind="Association")
        association.cluster_roles.create(cluster=cluster, role="association")
        ClusterAlias.objects.create(cluster=cluster, name="another")

    with CaptureQueriesContext(connection) as many:
        client.get(address)
    assert len(many) == len(few) <= 12


@pytest.mark.parametrize("address", ["editions/2025/", "rankings/", "clusters/", "rankings/?format=csv", "scores/"])
def test_who_holds_the_answer_gets_304_until_it_changes(world, api, address):
    first = api().get(V1 + address)

    again = api().get(V1 + address, HTTP_IF_NONE_MATCH=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert again["ETag"] == first["ETag"]
    assert api().get(V1 + address, HTTP_IF_NONE_MATCH='"another"').status_code == 200


def test_a_new_edition_has_another_tag(world, api):
    first = api().get(f"{V1}rankings/")["ETag"]
    world.editions["2025"].__class__.objects.filter(label="2025").update(state="superseded")

    assert api().get(f"{V1}rankings/", HTTP_IF_NONE_MATCH=first).status_code == 200


def test_head_and_options(db, api):
    head = api().head(f"{V1}clusters/")

    assert (head.status_code, head.content) == (200, b"")
    assert api().options(f"{V1}clusters/").status_code == 405
