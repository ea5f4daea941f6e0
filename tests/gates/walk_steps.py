"""The walk itself: every route, as everybody, at everything; what was answered against what should have been."""

import hashlib
import random
import re
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.apps import apps
from django.db import connection, transaction
from django.test import Client

from core.policy import checks
from facts.models import Schedule
from tests.facts.valid_returns import INSTRUMENT

from .walk_rights import ROUTES, reach
from .walk_world import CODES, OF_A_TENANT, TENANTS, WalkWorld

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FORMATS = ("json", "csv", "xlsx")
# What a refused request may move: how often somebody asked, and when they were last here.
COUNTERS = {"django_session", "facts_requestcount"}
LAST_HERE = {"last_login"}
# Where a record that may be read has, in its state, nothing to show yet: 404, 409 or a way elsewhere.
UNREADY = {
    "workspace/returns/<int:pk>/receipt.pdf",
    "workspace/returns/<int:pk>/answers.pdf",
    "workspace/returns/<int:pk>/paper.pdf",
    "workspace/returns/<int:pk>/benchmark.pdf",
    "workspace/returns/<int:pk>/benchmark/",
    "workspace/returns/<int:pk>/check/",
    "workspace/returns/import/<int:pk>/to-mend.csv",
    "workspace/standing/<str:code>/returns/",
    "api/v1/^returns/(?P<pk>[^/]+)/receipt/$",
    "workspace/returns/<int:pk>/everything.json",
    "cci/<str:label>/changes/",
    "cci/<str:label>/methodology/changes/",
    "cci/<str:label>/clusters/<str:code>/",
    "workspace/editions/<int:pk>/results/",
    "workspace/editions/<int:pk>/robustness/",
    "workspace/editions/<int:pk>/coherence/",
    "workspace/editions/<int:pk>/record/",
    "workspace/editions/<int:pk>/pre-release/",
    "workspace/editions/<int:pk>/cancel/",
    "workspace/editions/errata/<str:label>/",
    "workspace/benchmark/<str:code>/",
    "workspace/methodologies/<str:version>/difference/",
    "workspace/methodologies/<str:version>/effect/",
    "workspace/rounds/<int:year>/more-time/<str:code>/",
    "workspace/rounds/<int:year>/collectors/<str:code>/",
    "workspace/pre-release/<str:label>/",
    "workspace/editions/close-round/",
    "cci/<str:label>/",
    "cci/<str:label>/record/",
    "cci/<str:label>/eligibility/",
    "cci/<str:label>/methodology/",
}
# They sign somebody in or out, which is taken back with the rest: the next request needs a new sign-in.
DOORS = {
    "accounts/password/",
    "accounts/sessions/end/",
    "accounts/recovery-codes/",
    "accounts/again/",
    "accounts/code/",
    "accounts/second-factor/",
    "accounts/sign-in/",
    "accounts/sign-out/",
    "r/<str:token>/",
}
SCRIPTED = {"workspace/returns/<int:pk>/answers/"}  # asked by a script, which cannot sign in: 401; it has no HEAD
SECTIONS = {code: next(iter(part.sections)).code for code, part in INSTRUMENT.schedules.items()}


@dataclass(frozen=True)
class Case:
    """One route at one record (`label`, empty where the route names none), and the same at a record that is not."""

    route: str
    label: str
    url: str
    nowhere: str


@dataclass
class Walk:
    """What a walk found."""

    requests: int = 0
    deviations: list[str] = field(default_factory=list)
    opened: dict[tuple[str, str], int] = field(default_factory=dict)  # (route, role) → times it was opened

    def told(self, limit: int = 100) -> str:
        rest = len(self.deviations) - limit
        return "\n".join([f"{len(self.deviations)} deviations:", *self.deviations[:limit]]) + (
            f"\n… and {rest} more" if rest > 0 else ""
        )


# --- where to go ------------------------------------------------------------------------------


def names_of(world: WalkWorld) -> dict[str, dict[str, dict]]:
    """Kind → label → what the address of that record holds; the label "" is the record that is not."""
    from cci.models import Erratum, Methodology, Score
    from clusters.models import Region, Sector
    from facts.models import Indicator, IndicatorValue, Question

    objects = world.objects
    public = {"public.one": None}

    def keyed(kind, name, of=lambda record: record.pk, none="987654321"):
        return {"": {name: none}} | {label: {name: of(record)} for label, record in objects.get(kind, {}).items()}

    def one(name, value, none="987654321"):
        return {"": {name: none}} | {label: {name: value} for label in public}

    clusters = keyed("cluster", "code", lambda one: one.code, "PK-NOT-001") | {}
    for names in clusters.values():
        names |= {"year": world.round.year, "cluster": names["code"]}
    sections = {}
    for label, record in objects["return"].items():
        sections[label] = {"pk": record.pk, "section": SECTIONS[record.schedule]}
    shown = IndicatorValue.objects.filter(snapshot__editions__state="published", cluster=world.cluster).first()
    score = Score.objects.filter(edition__state="published", rank__isnull=False, cluster=world.cluster).first()
    labels = keyed("edition", "label", lambda one: one.label, "1999")
    for names in labels.values():
        names["code"] = world.cluster.code
    return {
        "": {"": {}},
        "return": keyed("return", "pk"),
        "section": sections | {"": {"pk": 987654321, "section": "UA"}},
        "upload": keyed("upload", "pk"),
        "fact": keyed("fact", "pk"),
        "query": keyed("query", "pk"),
        "unit": keyed("unit", "frame_id", lambda one: one.frame_id, "PK-NOT-00001"),
        "cluster": clusters,
        "organisation": keyed("organisation", "slug", lambda one: one.slug, "nobody"),
        "association": one("slug", world.association.slug, "nobody"),
        "agency": one("slug", f"{world.agency.slug}", "nobody"),
        "edition": keyed("edition", "pk"),
        "edition label": labels,
        "intervention": keyed("intervention", "pk"),
        "intervention code": keyed("intervention", "code", lambda one: one.code, "I-NOT"),
        "release": keyed("release", "pk"),
        "round": {"": {"year": 1999}, "public.2026": {"year": world.round.year}},
        "form": {
            "": {"year": 1999, "schedule": "unit", "ending": "pdf"},
            "public.form": {"year": world.round.year, "schedule": "unit", "ending": "pdf"},
        },
        "token": {"": {"token": "x" * 32}, "public.token": {"token": world.tokens["a"]}},
        "indicator": one("code", Indicator.objects.first().code, "ZZZ"),
        "question": one("code", Question.objects.first().code, "ZZZ"),
        "region": one("code", Region.objects.first().code, "ZZ-ZZ"),
        "sector": one("code", Sector.objects.first().code, "0000"),
        "instrument": one("version", world.round.instrument.version, "9.9"),
        "methodology": one("version", Methodology.objects.first().version, "9.9"),
        "value": one("pk", shown.pk),
        "score": one("pk", score.pk),
        "erratum": one("pk", Erratum.objects.first().pk),
        "membership": keyed("membership", "pk"),
        "dead link": {"": {"token": "x" * 43}},
        "offer": {"": {"pk": 987654321}},
        "api client": {"": {"pk": 987654321}},
        "glass": {"": {"pk": 987654321, "ret": 1}},
        "revision change": {"": {"pk": 987654321}},
        "unit file": {
            label: {"?": f"round={world.round.year}&schedule=UNIT&cluster={names['code']}"}
            for label, names in clusters.items()
            if "hidden" not in label
        },
        "part of a standing": {label: names | {"?": "part=D1"} for label, names in clusters.items()},
        "scheme": one("slug", world.scheme.slug, "nothing"),
    }


def address(route: str, names: dict) -> str:
    """The address of a route, with names put in its places."""
    plain = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", route).replace("^", "").replace("$", "")
    plain = re.sub(r"<(?:\w+:)?(\w+)>", r"<\1>", plain)
    query = f"?{names['?']}" if "?" in names else ""
    return "/" + re.sub(r"<(\w+)>", lambda found: str(names[found.group(1)]), plain) + query


def listed() -> list[str]:
    """Every route of the site, once."""
    # The API's catch-all stands under the same path as its first page.
    return list(dict.fromkeys(path for path, _ in checks.routes()))


def unlisted() -> list[str]:
    """Routes that the second writing of the matrix does not know, and those of it that are no longer there."""
    there = set(listed())
    return [f"/{path} stands in no row of tests/gates/walk_rights.py" for path in sorted(there - set(ROUTES))] + [
        f"/{path} of tests/gates/walk_rights.py is not there" for path in sorted(set(ROUTES) - there)
    ]


def cases(world: WalkWorld) -> list[Case]:
    names, found = names_of(world), []
    for route in listed():
        kind = ROUTES[route][0] if route in ROUTES else ""
        nowhere = names[kind][""]
        labels = [label for label in names[kind] if label] or [""]
        for label in labels:
            found.append(Case(route, label, address(route, names[kind][label]), address(route, nowhere)))
    return found


# --- what was answered ---------------------------------------------------------------------------


_TOKEN = re.compile(rb'name="csrfmiddlewaretoken" value="[^"]*"|csrf-token" content="[^"]*"')


def plain_bytes(response, url: str) -> bytes:
    """The bytes of an answer without what belongs to the request: its CSRF token, its own address."""
    content = b"".join(response) if response.streaming else response.content
    return _TOKEN.sub(b"", content).replace(url.encode(), b"(here)")


def told_by(response) -> dict[str, str]:
    """The headers that could tell two answers apart; lengths follow the bytes, which are compared without tokens."""
    hidden = {"Content-Length", "Set-Cookie", "X-Request-Id", "RateLimit"}
    return {name: value for name, value in response.items() if name not in hidden}


@contextmanager
def written():
    """Collect the tables to which SQL writes, counters left out."""
    tables: list[str] = []

    def watch(execute, sql, params, many, context):
        found = re.match(r'\s*(?:INSERT(?: OR \w+)? INTO|UPDATE|DELETE FROM) "?(\w+)', sql)
        if found and found.group(1) not in COUNTERS:
            tables.append(found.group(1))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield tables


def digest_of_everything(models=None) -> str:
    """A digest over every row of every table, counters left out."""
    found = hashlib.sha256()
    for model in sorted(models or apps.get_models(include_auto_created=True), key=lambda one: one._meta.db_table):
        if model._meta.db_table in COUNTERS or not model._meta.managed:
            continue
        names = [column.attname for column in model._meta.concrete_fields if column.name not in LAST_HERE]
        for row in model._base_manager.order_by("pk").values_list(*names):
            found.update(repr([bytes(cell) if isinstance(cell, memoryview) else cell for cell in row]).encode())
    return found.hexdigest()


def is_api(route: str) -> bool:
    return route.startswith("api/v1/")


def is_turned_away(response, route: str, code: str) -> bool:
    """Not signed in → the sign-in page or 401; a missing right → 403."""
    if code != "AN":
        return response.status_code == 403
    if is_api(route) or route in SCRIPTED:
        return response.status_code == 401
    return response.status_code == 302 and response["Location"].startswith("/accounts/sign-in/?next=")


def judged(walk: Walk, client: Client, world, case: Case, code: str, tenant: str, method: str, fmt: str = "") -> None:
    """Ask once and hold the answer against the design; whatever a permitted request changed is taken back."""
    kind, rights = ROUTES.get(case.route, ("", {}))
    right = rights.get("GET" if method == "HEAD" else method)
    wanted = reach(right, code, tenant, {case.label}) if right else None
    # Where the route names no record, the right itself is what counts; where the world holds none, all is nowhere.
    permitted = wanted is not None if not kind else bool(wanted and case.label)
    query = f"?format={fmt}" if fmt else ""
    who = f"{code} of {tenant}: {method} {case.url}{query} ({case.label or 'no record'})"

    def ask(url):
        walk.requests += 1
        body = {} if method not in ("PUT", "PATCH", "POST") or not is_api(case.route) else "{}"
        more = {"content_type": "application/json"} if body == "{}" else {}
        return (
            client.generic(method, url + query, body or b"", **more)
            if body == "{}"
            else getattr(client, method.lower())(url + query)
        )

    with transaction.atomic():
        with written() as tables:
            response = ask(case.url)
        status, is_empty = response.status_code, not response.streaming and not response.content
        if permitted:
            transaction.set_rollback(True)
    if method == "HEAD" and case.route in SCRIPTED and status == 405:
        return
    if status >= 500 and not (case.route == "readyz" and status == 503):
        walk.deviations.append(f"{who} → {status}")
        return
    if not permitted and tables:
        walk.deviations.append(f"{who} → {status}, refused, and yet wrote to {', '.join(sorted(set(tables)))}")
    if right is None:
        fine = status in (405, 404) or is_turned_away(response, case.route, code)
        fine = fine or (method == "OPTIONS" and status == 200 and is_empty)
        fine = fine or (case.route in DOORS and status == 302)  # nothing to do at this door: sent on
        fine = fine or (case.route in ("healthz", "readyz") and status in (200, 503))
        if not fine:
            walk.deviations.append(f"{who} → {status}; there is no such method")
        return
    if wanted is None:
        if not is_turned_away(response, case.route, code):
            walk.deviations.append(f"{who} → {status}; the right “{right}” is missing: sign-in, 401 or 403")
        return
    if permitted:
        if method in ("GET", "HEAD"):
            fine = status in (200, 302, 304) and not is_turned_away(response, case.route, "AN")
            fine = fine or (case.route in UNREADY and status in (404, 409))
            fine = fine or (fmt and status == 406) or case.route == "readyz"
            if fine and status == 200:
                walk.opened[case.route, code] = walk.opened.get((case.route, code), 0) + 1
        else:
            fine = status < 500 and not is_turned_away(response, case.route, "AN")
            fine = fine and status != 401
        if not fine:
            walk.deviations.append(f"{who} → {status}; the right “{right}” covers it")
        return
    with transaction.atomic():
        other = ask(case.nowhere)
    if status != 404:
        # A method whose act is not in the body may be refused for that before the record is looked for.
        walk.deviations.append(f"{who} → {status}; out of scope is 404")
    elif plain_bytes(response, case.url) != plain_bytes(other, case.nowhere) or told_by(response) != told_by(other):
        with transaction.atomic():
            response = ask(case.url)  # once more: the first may have carried what an act before it had to say
        if plain_bytes(response, case.url) == plain_bytes(other, case.nowhere):
            return
        here, there = told_by(response), told_by(other)
        header = [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]
        walk.deviations.append(f"{who} → another 404 than {case.nowhere} {header or ''}".rstrip())


def walked(world: WalkWorld, *, requests: int | None, seed: int = 2, routes=None, codes=None, methods=METHODS) -> Walk:
    """Walk all of it, or a sample: `requests` picks of (person, tenant, case, method, format), seeded.

    A sample takes every route at least once.
    """
    found = Walk()
    chance = random.Random(seed)
    steps = []
    for case in cases(world):
        if routes is not None and case.route not in routes:
            continue
        for tenant in TENANTS:
            for code in codes or CODES:
                if tenant == "b" and code not in OF_A_TENANT:
                    continue
                for method in methods:
                    formats = ("", *FORMATS) if is_api(case.route) and method == "GET" else ("",)
                    steps += [(case, code, tenant, method, fmt) for fmt in formats]
    if requests is not None and requests < len(steps):
        by_route: dict[str, list] = {}
        for step in steps:
            by_route.setdefault(step[0].route, []).append(step)
        firsts = [chance.choice(of_route) for of_route in by_route.values()]
        steps = firsts + chance.sample(steps, max(requests - len(firsts), 0))
    steps.sort(key=lambda step: (step[2], step[1]))
    client, holder = Client(), None
    for case, code, tenant, method, fmt in steps:
        if holder != (code, tenant):
            client, holder = Client(), (code, tenant)
            if person := world.people_of(tenant)[code]:
                client.force_login(person)
        judged(found, client, world, case, code, tenant, method, fmt)
        if case.route in DOORS:
            holder = None
    return found


assert set(SECTIONS) == set(Schedule.values)
