"""Headers of every answer, no script inside a page, and Django's own check of a production stand."""

import os
import random
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import reverse

from core.policy.checks import routes
from observatory import middleware
from observatory.middleware import CLEARED, HEADERS
from tests.api.world import World
from tests.gates.size import count, say

SEED = 20260317
ROOT = Path(__file__).resolve().parents[2]
DATA = {"application/json", "application/ld+json"}  # script elements that hold data and never run


class Inline(HTMLParser):
    """Finds what a content security policy without `unsafe-inline` refuses."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        if tag == "script" and "src" not in named and named.get("type") not in DATA:
            self.found.append("script")
        if tag == "style" or "style" in named:
            self.found.append(f"style on {tag}")
        self.found += [f"{name} on {tag}" for name in named if name.startswith("on")]
        if (named.get("href") or "").strip().lower().startswith("javascript:"):
            self.found.append(f"javascript: on {tag}")


def inline_in(html: str) -> list[str]:
    parser = Inline()
    parser.feed(html)
    return parser.found


def addresses(world) -> list[str]:
    """The address of every route that answers to GET: its own ids where the world has them, else a record of it."""
    known = {
        "code": world.cluster.code,
        "slug": world.association.slug,
        "pk": "1",
        "year": str(world.round.year),
        "label": "2025",
        "version": "1.0",
        "token": "no-such-token",
        "schedule": "unit",
        "ending": "pdf",
        "section": "UA",
    }
    found = []
    for pattern, _ in routes():
        text = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: known.get(match[1], "1"), pattern)
        text = re.sub(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)", lambda match: known.get(match[1], "1"), text)
        found.append("/" + re.sub(r"[\^$\\]", "", text).replace("/?", "/").replace(".?", "."))
    return sorted(set(found))


def faults(response, *, signed_in: bool) -> list[str]:
    """The gate: what is wrong with an answer's headers or page."""
    wrong = [name for name, value in HEADERS.items() if response.headers.get(name) != value]
    if response.headers.get("X-Frame-Options") != "DENY":
        wrong.append("X-Frame-Options")
    if signed_in and "no-store" not in response.headers.get("Cache-Control", ""):
        wrong.append("no-store")
    if signed_in and "Cookie" not in response.headers.get("Vary", ""):
        wrong.append("Vary: Cookie")
    if "html" in response.headers.get("Content-Type", "") and not response.streaming:
        wrong += inline_in(response.content.decode())
    return wrong


@pytest.fixture
def world(db):
    return World()


def walk(world, user, sample: int | None = None) -> dict[str, list[str]]:
    client = Client(raise_request_exception=False)
    if user is not None:
        client.force_login(user)
    found, every = {}, [address for address in addresses(world) if "sign-out" not in address]
    for address in random.Random(SEED).sample(every, min(len(every), sample or len(every))):
        if wrong := faults(client.get(address), signed_in=user is not None):
            found[address] = wrong
    return found


def test_every_route_carries_the_headers_and_no_script_of_its_own(world):
    assert len(addresses(world)) > 100
    say(f"headers: {len(addresses(world))} routes")

    assert walk(world, None) == {}


@pytest.mark.parametrize("role", ["head", "analyst", "auditor"])
def test_so_it_is_for_people_signed_in_and_nothing_of_theirs_is_kept(world, role):
    assert walk(world, world.people()[role], sample=count(25, 10_000)) == {}


def test_a_header_taken_away_is_found(world, monkeypatch):
    """Mutation: the walk goes red where one header is missing, and where a page holds a script."""
    monkeypatch.delitem(middleware.HEADERS, "Permissions-Policy")
    answer = Client().get("/")
    monkeypatch.undo()

    assert faults(answer, signed_in=False) == ["Permissions-Policy"]
    assert inline_in('<p onclick="x()">') and inline_in("<script>x()</script>") and inline_in('<b style="x">')
    assert not inline_in('<script src="/x.js" defer></script><script type="application/json">{}</script>')


def test_a_private_page_that_names_its_own_caching_is_not_kept(world, rf):
    def view(request):
        return HttpResponse("x", headers={"Cache-Control": "public, max-age=600"})

    request = rf.get("/")
    request.user = world.head
    answer = middleware.content_security_policy(view)(request)

    assert answer["Cache-Control"] == "no-store" and "Cookie" in answer["Vary"]


def test_signing_out_clears_the_browser(world):
    client = Client()
    client.force_login(world.head)
    assert "Clear-Site-Data" not in client.get(reverse("workspace"))

    answer = client.post(reverse("accounts:sign-out"))

    assert answer["Clear-Site-Data"] == CLEARED and "no-store" in answer["Cache-Control"]
    assert "Clear-Site-Data" not in client.get("/")


def test_a_session_that_was_over_clears_the_browser_too(world):
    client = Client()
    client.force_login(world.head)
    session = client.session
    session["idle"] = {"began": 0, "seen": 0, "most": 60}
    session.save()

    assert client.get("/")["Clear-Site-Data"] == CLEARED


def test_public_answers_may_be_kept_and_set_no_cookie(world):
    answer = Client().get(reverse("healthz"))

    assert "no-store" not in answer.headers.get("Cache-Control", "") and not answer.cookies


def production(**changes) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "OBSERVATORY_STAND": "production",
        "DJANGO_SETTINGS_MODULE": "observatory.settings",
        "SECRET_KEY": "a-key-for-this-check-only-0123456789-abcdefghijklmnopqrstuvwxyz-XYZ",
        "VAULT_KEYS": "t1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "DIGEST_KEY": "for this check only",
        "ALLOWED_HOSTS": "observatory.example.org",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "CONTACT_EMAIL": "help@example.org",
        **changes,
    }


def deploy_check(env: dict[str, str], tmp_path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=env | {"OBSERVATORY_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_djangos_check_of_a_production_stand_is_clean(tmp_path):
    done = deploy_check(production(), tmp_path)

    assert done.returncode == 0, done.stderr


@override_settings(SECURE_SSL_REDIRECT=False, SECRET_KEY="short", SESSION_COOKIE_SECURE=False)
def test_djangos_check_is_not_asleep():
    """Mutation: what a production stand must not have is found."""
    found = {one.id for one in run_checks(tags=["security"], include_deployment_checks=True)}

    assert {"security.W008", "security.W009", "security.W012"} <= found
