"""What the processes run that the kill gate starts and kills: `python -m tests.gates.kill_world ACT …`."""

import csv
import io
import json
import sys

import django

UNITS = 400
CODE = "PK-SUR-SKT"
KINDS = ("facts.read_upload", "facts.import_upload", "facts.check_cluster")


def build() -> dict:
    """An association with 400 firms, last round's accepted returns, and this round's handed in."""
    import datetime as dt

    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import transaction
    from django.utils import timezone

    from clusters.models import Cluster, ClusterRole, Membership, Organisation, Unit
    from clusters.seed import load_reference, load_seed
    from core.bulk import allocate_keys, insert_many
    from facts.demo.panel import generate
    from facts.models import FrameEntry, Return, Round
    from facts.services import instruments
    from facts.vault.store import put_versions

    call_command("migrate", verbosity=0)
    load_reference()
    load_seed()
    instrument = instruments.register_instrument("1.0")
    today = dt.date.today()
    dates = {"opens_on": today - dt.timedelta(days=9), "closes_on": today + dt.timedelta(days=90)}
    rounds = {
        year: Round.objects.create(year=year, instrument=instrument, state=state, is_synthetic=True, **dates)
        for year, state in ((2026, "open"), (2025, "open"), (2024, "closed"))
    }
    cluster = Cluster.objects.get(code=CODE)
    association = Organisation.objects.create(slug="kill", name="Association", kind="Association")
    ClusterRole.objects.create(cluster=cluster, organisation=association, role="association")
    user = get_user_model().objects.create(username="kill-head")
    Membership.objects.create(user=user, organisation=association, role="head")
    panel = generate()
    answers = {
        year: {one["frame_id"]: one["answers"] for one in panel.returns[year] if one["cluster"] == CODE}
        for year in (2024, 2025)
    }
    names = sorted(answers[2025])[:UNITS]
    now = timezone.now()
    with transaction.atomic():
        units = {
            name: Unit(pk=key, frame_id=name, cluster=cluster, sector_id=cluster.sector_id)
            for key, name in zip(allocate_keys(Unit, len(names)), names, strict=True)
        }
        insert_many(list(units.values()))
        for round_ in rounds.values():
            entries = [
                FrameEntry(round=round_, unit=unit, cluster=cluster, size=1, prior_employment=5)
                for unit in units.values()
            ]
            insert_many(entries)
        for year in (2024, 2025):
            there = [name for name in names if name in answers[year]]
            rows = [
                Return(
                    pk=key,
                    round=rounds[year],
                    schedule="UNIT",
                    subject=name,
                    unit=units[name],
                    cluster=cluster,
                    collector=association,
                    state="accepted" if year == 2024 else "submitted",
                    version=1,
                    revision=1,
                    submitted_at=now,
                    first_submitted_at=now,
                    submitted_by=user,
                    is_synthetic=True,
                )
                for key, name in zip(allocate_keys(Return, len(there)), there, strict=True)
            ]
            insert_many(rows)
            put_versions({(ret.pk, 1): _payload(answers[year][ret.subject]) for ret in rows})
    return {"cluster": cluster.pk, "round": rounds[2025].pk, "user": user.pk, "units": len(names)}


def _payload(answers: dict) -> dict:
    markers = {code: value for code, value in answers.items() if value in ("DK", "REF")}
    values = {code: value for code, value in answers.items() if code not in markers}
    return {"answers": values, "markers": markers, "explanations": {}, "confirmed": []}


def want_import(turn: int) -> dict:
    """Put a file of every firm into quarantine, read it, and queue its import without working it."""
    from django.contrib.auth import get_user_model

    from clusters.models import Unit
    from core.jobs import ledger
    from facts.models import Round, Upload
    from facts.services import uploads

    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["unit", "UA01", "UA02", "UE05"])
    for unit in Unit.objects.order_by("frame_id"):
        writer.writerow([unit.frame_id, 1, 12, 10 + turn])
    user = get_user_model().objects.get(username="kill-head")
    round_ = Round.objects.get(year=2026)
    upload = uploads.receive(stream.getvalue().encode(), f"turn-{turn}.csv", round_=round_, scale=1, by=user)
    assert upload.state == Upload.State.READY, (upload.state, upload.counts)
    job = ledger.enqueue(uploads.IMPORT, key=f"upload:{upload.pk}", by=user, upload_id=upload.pk)
    Upload.objects.filter(pk=upload.pk).update(job=job)
    return {"job": job.pk, "upload": upload.pk}


def want_check(turn: int) -> dict:
    """Queue the check of the cluster without working it."""
    from clusters.models import Cluster
    from facts.models import Round
    from facts.services.checking import request_check

    return {"job": request_check(Round.objects.get(year=2025), Cluster.objects.get(code=CODE).pk).pk}


def work(job: int) -> dict:
    """Work a job, as a worker does; wait until its lease has run out where a dead one held it."""
    import time

    from core.jobs import ledger
    from core.jobs.models import Job

    sys.stdout.write("begun\n")
    sys.stdout.flush()
    end = time.monotonic() + 30
    while time.monotonic() < end:
        ledger.run(job)
        if not Job.objects.get(pk=job).is_open:
            break
        time.sleep(0.05)
    return {"state": Job.objects.get(pk=job).state, "attempt": Job.objects.get(pk=job).attempt}


def state() -> dict:
    """What an onlooker sees: drafts by revision, uploads, what the checks stored."""
    from collections import Counter

    from core.audit.models import Event, first_broken
    from core.jobs.models import Job
    from facts.models import CheckRun, Flag, Return, Upload
    from facts.vault.models import SealedText

    drafts = Return.objects.filter(round__year=2026).values_list("revision", flat=True)
    flags = Flag.objects.filter(ret__round__year=2025, rule__startswith="X")
    return {
        "revisions": {str(revision): n for revision, n in Counter(drafts).items()},
        "events": Event.objects.filter(action="return.import").count(),
        "uploads": dict(Counter(Upload.objects.values_list("state", flat=True))),
        "check_runs": list(CheckRun.objects.order_by("pk").values_list("pk", "job_id")),
        "checked": Return.objects.filter(round__year=2025, checked_version=1).count(),
        "flags": flags.count(),
        "numbers": SealedText.objects.filter(place__startswith="flag:").count(),
        "open_jobs": Job.objects.filter(state__in=["queued", "running"], kind__in=KINDS).count(),
        "chain": first_broken(),
    }


if __name__ == "__main__":
    django.setup()
    act, arguments = sys.argv[1], [int(text) for text in sys.argv[2:]]
    result = {"build": build, "import": want_import, "check": want_check, "work": work, "state": state}[act](*arguments)
    sys.stdout.write(json.dumps(result) + "\n")
