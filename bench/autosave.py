"""Fifty people type at once: the round trip of an autosave on the served stand; floor: the liveness view, likewise.

Two web processes of eight threads, as `make run` starts them. Every editor saves a field of a return of their own,
waits a moment as people do, and saves the next. The load comes from the same machine and its cores.
"""

import datetime as dt
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

EDITORS = 50
SECONDS = 20
PAUSE = 1.0  # seconds between two fields of one editor
FIELDS = ("UB01", "UB02", "UB03", "UB04", "UB05", "UB06", "UB07", "UC01", "UD01", "UD04", "UD05", "UD06")


def run() -> None:
    """Print the median and the 95th percentile of the round trip, with the floor beside it."""
    from bench.scale import prepare_stand

    engine = prepare_stand()
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    editors = _people()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).parent / "gunicorn"), "observatory.wsgi", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--log-level", "error"]
    server = subprocess.Popen(command, env=os.environ, cwd=Path(__file__).resolve().parents[1])
    try:
        _await(port)
        title = f"Autosave on {engine}, {EDITORS} editors for {SECONDS} s"
        print(f"\n{title:56}{'n':>7}{'p50 ms':>9}{'p95 ms':>9}{'max':>8}")
        floor = _load(port, editors, _liveness)
        took = _load(port, editors, _save)
        _line("floor: the liveness view", floor)
        _line("save a field: read, check, seal, store, audit, answer", took)
    finally:
        server.terminate()
        server.wait(30)


def _people() -> list[dict]:
    """An association with fifty clerks, each with the draft of one firm, and last year's accepted return beside it."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
    from django.contrib.sessions.backends.db import SessionStore
    from django.utils import timezone

    from clusters.models import Cluster, ClusterRole, Membership, Organisation, Unit
    from clusters.seed import load_reference, load_seed
    from facts.demo.panel import generate
    from facts.models import FrameEntry, Return, Round
    from facts.services import instruments
    from facts.services.imports import Row, save_drafts
    from facts.vault.store import put_versions

    load_reference()
    load_seed()
    instrument = instruments.register_instrument("1.0")
    instruments.lookups.cache_clear()
    today = dt.date.today()
    dates = {"opens_on": today - dt.timedelta(days=9), "closes_on": today + dt.timedelta(days=90)}
    now_round, last = (
        Round.objects.create(year=year, instrument=instrument, state=state, **dates)
        for year, state in ((2026, "open"), (2025, "closed"))
    )
    cluster = Cluster.objects.get(code="PK-SUR-SKT")
    association = Organisation.objects.create(slug="bench", name="Association", kind="Association")
    ClusterRole.objects.create(cluster=cluster, organisation=association, role="association")
    entries = [one for one in generate().returns[2025] if one["cluster"] == "PK-SUR-SKT"][:EDITORS]
    made = []
    for number, entry in enumerate(entries):
        user = get_user_model().objects.create(username=f"clerk-{number}", last_login=timezone.now())
        Membership.objects.create(user=user, organisation=association, role="entry")
        unit = Unit.objects.create(frame_id=f"PK-SUR-SKT-9{number:04d}", cluster=cluster, sector_id=cluster.sector_id)
        for round_ in (now_round, last):
            FrameEntry.objects.create(round=round_, unit=unit, cluster=cluster, size=1, prior_employment=5)
        markers = {code: value for code, value in entry["answers"].items() if value in ("DK", "REF")}
        answers = {code: value for code, value in entry["answers"].items() if code not in markers}
        before = Return.objects.create(
            round=last, schedule="UNIT", subject=unit.frame_id, unit=unit, cluster=cluster, state="locked", version=1,
            submitted_at=timezone.now(), submitted_by=user, collector=association,
        )  # fmt: skip
        put_versions({(before.pk, 1): {"answers": answers, "markers": markers, "explanations": {}, "confirmed": []}})
        kept = {code: value for code, value in answers.items() if code not in FIELDS}
        outcome = save_drafts(
            round_=now_round, schedule_code="UNIT", rows=[Row(unit.frame_id, kept, "row 2")], by=user, channel="web",
            keep_failing=True,
        )  # fmt: skip
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        cookie = f"{settings.SESSION_COOKIE_NAME}={session.session_key}"
        made.append({"pk": outcome.returns[0].pk, "cookie": cookie, "token": "", "was": {}, "turn": 0})
    return made


def _await(port: int) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            http.client.HTTPConnection("127.0.0.1", port, timeout=5).request("GET", "/healthz")
            return
        except OSError:
            threading.Event().wait(0.1)
    raise SystemExit("The web server did not start.")


def _liveness(connection, editor) -> None:
    connection.request("GET", "/healthz", headers={"Cookie": editor["cookie"]})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


def _save(connection, editor) -> None:
    path = f"/workspace/returns/{editor['pk']}/answers/"
    code = FIELDS[editor["turn"] % len(FIELDS)]
    text = str(10 + editor["turn"])
    body = {"answers": {code: text}, "was": {code: editor["was"].get(code, "")}, "revision": 0, "scale": 1}
    headers = {
        "Cookie": f"{editor['cookie']}; csrftoken={editor['token']}",
        "X-CSRFToken": editor["token"],
        "Content-Type": "application/json",
    }
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 200, (answer.status, content[:300])
    assert json.loads(content)["saved"] == [code], content[:300]
    editor["was"][code] = text
    editor["turn"] += 1


def _load(port: int, editors: list[dict], act) -> list[float]:
    """Let every editor act again and again; return the seconds of each round trip."""
    took: list[float] = []
    faults: list[BaseException] = []
    until = time.monotonic() + SECONDS
    lock = threading.Lock()

    def work(place: int, editor: dict) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            if not editor["token"]:
                editor["token"] = _token(connection, editor)
            threading.Event().wait(PAUSE * place / len(editors))
            while time.monotonic() < until:
                start = time.perf_counter()
                act(connection, editor)
                with lock:
                    took.append(time.perf_counter() - start)
                threading.Event().wait(PAUSE)
        except BaseException as fault:  # told below: a thread's own message would be lost
            faults.append(fault)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(editors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return took


def _token(connection, editor) -> str:
    path = f"/workspace/returns/{editor['pk']}/answers/"
    connection.request("GET", path, headers={"Cookie": editor["cookie"], "Accept": "application/json"})
    answer = connection.getresponse()
    raw = answer.read()
    assert answer.status == 200, (answer.status, raw[:200])
    content = json.loads(raw)
    cookies = answer.headers.get_all("Set-Cookie") or []
    found = [
        part.partition("=")[2] for text in cookies for part in text.split(";") if part.strip().startswith("csrftoken=")
    ]
    return found[0] if found else content["token"]


def _line(name: str, took: list[float]) -> None:
    cuts = statistics.quantiles(took, n=20)
    print(f"{name:56}{len(took):7,}{1000 * statistics.median(took):9.1f}{1000 * cuts[18]:9.1f}{1000 * max(took):8.0f}")
