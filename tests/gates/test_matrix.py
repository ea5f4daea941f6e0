"""G1: every route × method × format × role × tenant answers as the permission matrix of the design says."""

import csv
import io
import logging
import re

import openpyxl
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.views import View
from django.views.generic import FormView
from rest_framework import serializers, viewsets
from rest_framework.filters import OrderingFilter, SearchFilter

from clusters.models import ProfileFact
from core import policy
from core.policy import checks
from core.policy.table import as_markdown
from core.policy.views import PolicyMixin
from facts.models import Collector, Query, Return, UnitLink
from facts.vault.models import SealedAnswers
from tests.gates.size import FULL, count, say
from tests.gates.walk_rights import ROUTES, reach
from tests.gates.walk_steps import cases, digest_of_everything, unlisted, walked
from tests.gates.walk_world import CODES, OF_A_TENANT, TENANTS, WalkWorld


@pytest.fixture(autouse=True)
def _quiet():
    """Thousands of refusals, each with its trace, would fill the log; what a log may hold is the canary's gate."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def _own_folders(settings, tmp_path):
    settings.QUARANTINE_DIR = tmp_path / "quarantine"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def world(db) -> WalkWorld:
    return WalkWorld()


def test_every_route_stands_in_the_second_writing_of_the_matrix():
    assert not unlisted(), "\n".join(unlisted())


def test_everybody_reaches_what_the_design_gives_them_and_nothing_else(world):
    before = digest_of_everything()

    walk = walked(world, requests=None if FULL else count(500, 0))

    say(f"G1: {walk.requests} requests, {len(walk.deviations)} deviations")
    assert not walk.deviations, walk.told()
    assert digest_of_everything() == before
    assert walk.requests > 400 and len(ROUTES) > 100


# --- the same by page, by API and by file -----------------------------------------------------------


def reader(world, code, tenant) -> Client:
    client = Client()
    if person := world.people_of(tenant)[code]:
        client.force_login(person)
    return client


def by_api(client, address: str, key: str) -> set | None:
    """What a list holds as JSON; the same as CSV and as XLSX, or this fails."""
    answer = client.get(address)
    if answer.status_code != 200:
        assert {client.get(f"{address}?format={ending}").status_code for ending in ("csv", "xlsx")} == {
            answer.status_code
        }
        return None
    body = answer.json()
    found = [str(row[key]) for row in body["results"]]
    as_csv = list(csv.DictReader(io.StringIO(client.get(f"{address}?format=csv").content.decode())))
    sheet = openpyxl.load_workbook(io.BytesIO(client.get(f"{address}?format=xlsx").content)).active
    rows = [
        dict(zip([cell.value for cell in sheet[1]], row, strict=True)) for row in sheet.iter_rows(2, values_only=True)
    ]
    assert [row[key] for row in as_csv] == [str(row[key]) for row in rows] == found, address
    if "count" in body:
        assert body["count"] == len(found)
    return set(found)


EVERYBODY = [(code, tenant) for tenant in TENANTS for code in CODES if tenant == "a" or code in OF_A_TENANT]


def test_page_api_and_file_hold_the_same(world):
    found = []
    lists = (
        ("read header", "return", "/api/v1/returns/", "id", lambda one: str(one.pk)),
        ("read frame numbers", "unit", "/api/v1/units/", "frame_id", lambda one: one.frame_id),
        ("read cluster", "cluster", "/api/v1/clusters/", "code", lambda one: one.code),
        ("read edition", "edition", "/api/v1/editions/", "label", lambda one: one.label),
    )
    for code, tenant in EVERYBODY:
        client = reader(world, code, tenant)
        for right, kind, address, key, name in lists:
            records = world.objects[kind]
            labels = reach(right, code, tenant, set(records))
            wanted = None if labels is None else {name(records[label]) for label in labels}
            got = by_api(client, address, key)
            if got is not None and kind == "cluster":
                got -= {world.hidden.code}  # nobody's
            if got != wanted:
                found.append(f"{code} of {tenant}: {address} holds {sorted(got or [])}, not {sorted(wanted or [])}")
        for page, right, kind, pattern, name in PAGES:
            answer = client.get(page)
            records = world.objects[kind]
            labels = reach(right, code, tenant, set(records))
            if answer.status_code != 200:
                continue  # the walk says whether it should
            wanted = {name(records[label]) for label in labels or ()}
            every = {name(record) for record in records.values()}
            shown = set(re.findall(pattern, answer.content.decode())) & every
            if shown != wanted:
                found.append(f"{code} of {tenant}: {page} shows {sorted(shown)}, not {sorted(wanted)}")

    assert not found, "\n".join(found)


PAGES = (
    ("/workspace/returns/", "read header", "return", r'href="/workspace/returns/(\d+)/', lambda one: str(one.pk)),
    ("/clusters/", "read cluster", "cluster", r'href="/clusters/([\w-]+)/', lambda one: one.code),
    ("/workspace/standing/", "read standing", "cluster", r'href="/workspace/standing/([\w-]+)/', lambda one: one.code),
    ("/workspace/profiles/", "read profile", "cluster", r'href="/workspace/profiles/([\w-]+)/', lambda one: one.code),
    ("/workspace/queries/", "read queries", "query", r'href="/workspace/queries/(\d+)/', lambda one: str(one.pk)),
)


def test_filters_counts_and_tags_tell_nothing_of_other_peoples_records(world):
    """A filter that names a record out of scope is answered, byte for byte, like one that names none."""
    found = []
    foreign = {"a": "b", "b": "a"}
    for code, tenant in EVERYBODY:
        client = reader(world, code, tenant)
        other = foreign[tenant]
        asked = [
            ("returns", "read header", "return", f"{other}.review", "subject", lambda one: one.subject, "PK-NOT-00001"),
            ("returns", "read header", "return", f"{other}.cluster", "cluster", lambda one: one.subject, "PK-NOT-001"),
            (
                "units",
                "read frame numbers",
                "unit",
                f"{other}.draft",
                "cluster",
                lambda one: one.cluster.code,
                "PK-NOT",
            ),
            ("clusters", "read cluster", "cluster", f"{other}.hidden", "q", lambda one: one.name, "nowhere at all"),
            ("interventions", "read cluster", "cluster", f"{other}.hidden", "cluster", lambda one: one.code, "PK-NOT"),
            ("rankings", "read cluster", "cluster", f"{other}.hidden", "cluster", lambda one: one.code, "PK-NOT"),
            ("scores", "read cluster", "cluster", f"{other}.hidden", "cluster", lambda one: one.code, "PK-NOT"),
            (
                "indicator-values",
                "read cluster",
                "cluster",
                f"{other}.hidden",
                "cluster",
                lambda one: one.code,
                "PK-NOT",
            ),
        ]
        for endpoint, right, kind, label, name, value, nothing in asked:
            if reach(right, code, tenant, {label}):
                continue
            there = client.get(f"/api/v1/{endpoint}/", {name: value(world.objects[kind][label])})
            nowhere = client.get(f"/api/v1/{endpoint}/", {name: nothing})
            if (there.status_code, there.content, there.get("ETag")) != (
                nowhere.status_code,
                nowhere.content,
                nowhere.get("ETag"),
            ):
                found.append(
                    f"{code} of {tenant}: {endpoint}?{name}= tells {label}: {there.status_code} {there.content[:120]!r}"
                )

    assert not found, "\n".join(found)


# --- what a body may name -----------------------------------------------------------------------------


def state_of(world, tenant: str) -> str:
    """What a tenant holds, as one digest."""
    ids = [record.pk for label, record in world.objects["return"].items() if label.startswith(f"{tenant}.")]
    units = [record.pk for label, record in world.objects["unit"].items() if label.startswith(f"{tenant}.")]
    rows = (
        list(Return.objects.filter(pk__in=ids).order_by("pk").values_list()),
        list(UnitLink.objects.filter(unit__in=units).order_by("pk").values_list()),
        list(Query.objects.filter(ret__in=ids).order_by("pk").values_list()),
        list(SealedAnswers.objects.filter(ret__in=ids).order_by("pk").values_list("ret", "number", "digest")),
        list(ProfileFact.objects.filter(cluster=world.towns[tenant].cluster).order_by("pk").values_list()),
        list(Collector.objects.filter(cluster=world.towns[tenant].cluster).order_by("pk").values_list()),
    )
    return repr(rows)


def test_ids_of_another_tenant_in_a_body_change_nothing_there(world):
    """Somebody with every right in town a names the records of town b in what they send."""
    theirs = {label[2:]: one for label, one in world.objects["return"].items() if label.startswith("b.")}
    unit = world.objects["unit"]["b.untouched"]
    everyone = ",".join(str(one.pk) for one in theirs.values())
    digests = {key: f"{one.pk}:{one.version}:0" for key, one in theirs.items()}
    acts = [
        ("AH", "/workspace/returns/certify/", {"returns": [one.pk for one in theirs.values()], "certified_name": "A"}),
        ("AH", "/workspace/returns/certify/", {"ret": everyone, "certified_name": "A", "password": "x"}),
        ("AE", "/workspace/returns/grid/", {f"r{theirs['draft'].pk}:UA02": "7", "block": "UA", "round": "2026"}),
        ("AE", "/workspace/returns/start/", {"round": 2026, "schedule": "UNIT", "subject": unit.frame_id}),
        ("AE", "/workspace/returns/start/", {"round": 2026, "schedule": "UNIT", "unit": unit.pk}),
        ("SU", "/workspace/review/several/", {"accept": "1", "chosen": list(digests.values()), "confirmed": "1"}),
        ("SU", "/workspace/review/several/", {"send_back": "1", "ret": [theirs["review"].pk], "reason": "x" * 30}),
        (
            "SU",
            "/workspace/rounds/2026/links/replace/",
            {"unit": unit.frame_id, "reason": "The link was lost by mail."},
        ),
        ("SU", "/workspace/rounds/2026/links/replace/", {"unit": unit.pk, "reason": "The link was lost by mail."}),
        ("AH", "/workspace/rounds/2026/links/", {"unit": unit.frame_id, "cluster": world.other.cluster.code}),
        ("AH", "/workspace/rounds/2026/links/", {"all": "1", "cluster": world.other.cluster.code}),
        ("SU", "/workspace/rounds/2026/checks/", {"cluster": world.other.cluster.code, "flag": "1"}),
    ]
    before, found = state_of(world, "b"), []
    for code, address, body in acts:
        answer = reader(world, code, "a").post(address, body)
        if answer.status_code >= 500 or state_of(world, "b") != before:
            found.append(f"{code}: POST {address} {sorted(body)} → {answer.status_code} and changed what b holds")
            before = state_of(world, "b")
    for code in ("AE", "AH", "PC"):
        rows = [{"subject": unit.frame_id, "answers": {"UA02": 7}}]
        client = reader(world, code, "a")
        for body in (
            {"round": 2026, "schedule": "UNIT", **rows[0]},
            {"round": 2026, "schedule": "UNIT", "returns": rows},
        ):
            answer = client.post("/api/v1/returns/", body, content_type="application/json")
            if answer.status_code < 400 or state_of(world, "b") != before:
                found.append(f"{code}: POST /api/v1/returns/ for a unit of b → {answer.status_code}")

    assert not found, "\n".join(found)


FORBIDDEN = {
    "state": "accepted",
    "version": 9,
    "id": 1,
    "collector": 1,
    "submitted_by": 1,
    "certified_name": "A",
    "is_synthetic": False,
    "is_staff": True,
    "groups": [1],
    "organisation": 1,
}


def test_a_client_that_sends_what_it_may_never_write_is_told_so(world):
    ret = world.objects["return"]["a.draft"]
    client, before = reader(world, "AH", "a"), state_of(world, "a")
    for name, value in FORBIDDEN.items():
        body = {"round": 2026, "schedule": "UNIT", "subject": ret.subject, "answers": {}, name: value}
        made = client.post("/api/v1/returns/", body, content_type="application/json")
        changed = client.patch(
            f"/api/v1/returns/{ret.pk}/",
            {"answers": {}, name: value},
            content_type="application/json",
            headers={"If-Match": "*"},
        )
        assert (made.status_code, changed.status_code) == (400, 400), name
        assert all(name in answer.content.decode() for answer in (made, changed)), name
    assert state_of(world, "a") == before


def test_no_form_is_taken_without_its_token(world):
    """Every route that takes a POST refuses one that another site could have made the browser send."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.analyst)
    refused = [
        case.url
        for case in {case.route: case for case in cases(world)}.values()
        if "POST" in ROUTES[case.route][1] and client.post(case.url).status_code != 403
    ]

    assert not refused


# --- mutations: a control taken away is found -----------------------------------------------------------


def deviations(world, routes: set[str], codes, methods=("GET",), requests=60) -> list[str]:
    return walked(world, requests=requests, routes=routes, codes=codes, methods=methods).deviations


RETURN_PAGES = {"workspace/returns/<int:pk>/", "api/v1/^returns/(?P<pk>[^/]+)/$"}


def test_mutation_a_scope_that_is_not_called_is_found(world, monkeypatch):
    assert not deviations(world, RETURN_PAGES, ("AE", "SU"))
    scope = policy.scope
    monkeypatch.setattr(
        policy, "scope", lambda user, action, found: found if action == "return.read" else scope(user, action, found)
    )

    found = deviations(world, RETURN_PAGES, ("AE", "SU"))

    assert any("/workspace/returns/" in one and "out of scope is 404" in one for one in found)
    assert any("/api/v1/returns/" in one for one in found)


def test_mutation_a_row_that_is_widened_is_found(world, monkeypatch):
    wider = {action: dict(row) for action, row in policy.matrix().items()}
    wider["return.review"][policy.Role.STAFF] = policy.ALL
    monkeypatch.setattr(policy, "matrix", lambda: wider)

    found = deviations(world, {"workspace/review/", "workspace/review/<int:pk>/"}, ("ST",))

    assert any("is missing" in one for one in found)


def test_mutation_a_refusal_that_writes_is_found(world, monkeypatch):
    allowed = policy.allowed

    def noted(user, action, obj=None):
        world.round.save(update_fields=["state"])
        return allowed(user, action, obj)

    monkeypatch.setattr(policy, "allowed", noted)

    assert any("wrote to facts_round" in one for one in deviations(world, {"workspace/review/"}, ("AE",)))


def test_mutation_a_route_nobody_wrote_down_is_found(monkeypatch):
    there = list(checks.routes())
    monkeypatch.setattr(checks, "routes", lambda: iter([*there, ("workspace/backdoor/", Client)]))

    assert unlisted() == ["/workspace/backdoor/ stands in no row of tests/gates/walk_rights.py"]
    assert [one.id for one in checks.every_route_names_its_action(None)] == ["policy.E001"]


# --- the page of the matrix, and the checks at start-up ---------------------------------------------------


def test_the_page_of_the_matrix_is_the_matrix():
    page = (settings.BASE_DIR / "docs" / "matrix.md").read_text(encoding="utf-8")

    assert page == as_markdown(), "Run: python manage.py permission_matrix --write"
    assert all(f"`{action}`" in page for action in policy.matrix()) and "<lambda>" not in page


def view_with(**members):
    cls = type("Backdoor", (members.pop("base", View),), members)
    return cls.as_view()


def routes_with(monkeypatch, callback):
    monkeypatch.setattr(checks, "routes", lambda: iter([("backdoor/", callback)]))


def found_by(check) -> list[str]:
    return [error.id for error in check(None)]


def test_the_site_passes_its_own_checks():
    for check in (
        checks.every_route_names_its_action,
        checks.every_filter_stands_on_a_list,
        checks.every_serializer_names_its_fields,
        checks.every_act_asks_the_matrix,
        checks.the_admin_site_shows_nothing_confidential,
    ):
        assert not check(None)


def test_a_page_has_no_second_way_to_post(rf, world):
    """Django's form views answer PUT as POST; asked for its reading action, such a page would act by it."""

    class Page(PolicyMixin, FormView):
        action, post_action = "site.read", "round.edit"

        def post(self, request):
            raise AssertionError("acted")

    request = rf.put("/")
    request.user = world.viewer
    with pytest.raises(PermissionDenied):
        Page.as_view()(request)
    request.user = world.analyst
    assert Page.as_view()(request).status_code == 405


def test_mutation_an_action_without_a_row_or_a_verb_without_an_action_stops_the_start(monkeypatch):
    routes_with(monkeypatch, view_with(action="no.such"))
    assert found_by(checks.every_route_names_its_action) == ["policy.E002"]

    class Open(viewsets.ModelViewSet):
        policy_actions = {"list": "site.read"}

    routes_with(monkeypatch, Open.as_view({"get": "list", "delete": "destroy"}))
    assert found_by(checks.every_route_names_its_action) == ["policy.E003"]


@pytest.mark.parametrize(
    "members",
    [
        {"filterset_fields": "__all__"},
        {"filter_backends": [OrderingFilter]},
        {"filter_backends": [SearchFilter]},
        {"filter_backends": [OrderingFilter], "ordering_fields": "__all__"},
    ],
)
def test_mutation_a_filter_that_stands_on_no_list_stops_the_start(monkeypatch, members):
    cls = type("Lax", (viewsets.ReadOnlyModelViewSet,), {"policy_actions": {"list": "site.read"}, **members})
    routes_with(monkeypatch, cls.as_view({"get": "list"}))

    assert found_by(checks.every_filter_stands_on_a_list) == ["policy.E004"]


def test_mutation_a_serializer_that_takes_all_or_too_much_stops_the_start(monkeypatch):
    class Everything(serializers.ModelSerializer):
        class Meta:
            model = Return
            fields = "__all__"

    class TooMuch(serializers.Serializer):
        state = serializers.CharField()

    class Writes(viewsets.ModelViewSet):
        policy_actions = {"create": "site.read"}
        serializer_classes = {"create": TooMuch}

    routes_with(monkeypatch, Writes.as_view({"post": "create"}))
    monkeypatch.setattr(checks, "own_serializers", lambda: [Everything, TooMuch])

    assert found_by(checks.every_serializer_names_its_fields) == ["policy.E005", "policy.E006"]


def test_mutation_an_act_that_asks_nobody_stops_the_start(monkeypatch):
    def act(self, request):
        """Change something."""

    class Early(PolicyMixin, View):
        action = "round.edit"
        post = act

        def dispatch(self, request):
            return self.post(request)

    bare = view_with(action="round.edit", post=act, __module__="facts.views.backdoor")
    Early.__module__ = "facts.views.backdoor"
    for callback in (bare, Early.as_view()):
        routes_with(monkeypatch, callback)
        assert found_by(checks.every_act_asks_the_matrix) == ["policy.E008"]
