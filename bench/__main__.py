"""`make bench`: each figure beside its floor, measured in the same run on this machine. Prints tables; asserts nothing.

python -m bench [engine] [montecarlo] [edition] [indicators] [returns] [pages] [autosave] [disclosure] [scale]
"""

import argparse
import os
import subprocess
import sys
import tempfile

from bench import best

os.environ.setdefault("OBSERVATORY_VAR", tempfile.mkdtemp(prefix="observatory-bench-"))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")


def table(title: str, rows: list[tuple[str, float, float]]) -> None:
    """Print name, seconds, floor and their ratio."""
    print(f"\n{title}\n{'':46}{'seconds':>10}{'floor':>10}{'ratio':>8}")
    for name, seconds, floor in rows:
        print(f"{name:46}{seconds:10.4f}{floor:10.4f}{seconds / floor:8.1f}")


def engine() -> None:
    from bench import engine as of_engine

    of_engine.run()


def montecarlo() -> None:
    from bench import montecarlo as of_montecarlo

    of_montecarlo.run()


def edition() -> None:
    import django

    django.setup()
    from bench import edition as of_edition

    of_edition.run()


def returns() -> None:
    """Reading, checking and sealing one round's unit returns; floor: json.dumps of the same answers."""
    import datetime as dt
    import json

    import django

    django.setup()
    from facts.demo.panel import generate
    from facts.services.instruments import definition
    from facts.validation import Context, check, read_answers
    from facts.vault.store import canonical, seal

    part = definition("1.0").schedule("UNIT")
    entries = [entry["answers"] for entry in generate().returns[2025]]
    context = Context(ref_year=2024, today=dt.date(2025, 12, 31))
    read = [read_answers(part, answers) for answers in entries]
    floor = best(lambda: [json.dumps(answers) for answers in entries])
    table(
        f"{len(entries):,} unit returns; floor: json.dumps of the answers",
        [
            ("read from the API's shape", best(lambda: [read_answers(part, a) for a in entries]), floor),
            (
                "all checks of the schedule",
                best(lambda: [check(part, r.answers, r.markers, context) for r in read]),
                floor,
            ),
            ("seal (AES-256-GCM)", best(lambda: [seal(canonical(r.answers), "x") for r in read]), floor),
        ],
    )


def pages() -> None:
    """Public pages of a small demonstration world, in process; floor: the liveness view, which does nothing."""
    import django
    from django.core.management import call_command

    django.setup()
    from django.conf import settings
    from django.test import Client

    from observatory.demo import load_world

    settings.ALLOWED_HOSTS = ["*"]
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    load_world(lambda stage, done, total: None, size=0.15, rounds=2)
    client = Client()

    def asked(path: str) -> float:
        assert client.get(path).status_code == 200, path
        return best(lambda: [client.get(path) for _ in range(20)]) / 20

    floor = asked("/healthz")
    paths = [
        "/",
        "/clusters/",
        "/clusters/PK-SUR-SKT/",
        "/cci/2025/",
        "/indicators/",
        "/indicators/O101/",
        "/facts/",
        "/interventions/",
        "/agencies/",
        "/api/v1/clusters/",
        "/api/v1/rankings/?edition=2025",
    ]
    table("Seconds a request, in process", [(path, asked(path), floor) for path in paths])


def indicators() -> None:
    from bench import indicators as of_indicators

    of_indicators.run()


def scale() -> None:
    from bench import scale as of_scale

    of_scale.run()


def autosave() -> None:
    from bench import autosave as of_autosave

    of_autosave.run()


def disclosure() -> None:
    from bench import disclosure as of_disclosure

    of_disclosure.run()


BENCHES = {
    "engine": engine,
    "montecarlo": montecarlo,
    "edition": edition,
    "indicators": indicators,
    "returns": returns,
    "pages": pages,
    "autosave": autosave,
    "disclosure": disclosure,
    "scale": scale,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure; each figure beside its floor.")
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(BENCHES)}; else all")
    asked = parser.parse_args().names
    if unknown := [name for name in asked if name not in BENCHES]:
        parser.error(f"There is no bench {unknown[0]}. Name any of {', '.join(BENCHES)}.")
    if len(asked) == 1:
        BENCHES[asked[0]]()
    else:
        # Each in a process of its own: a database is chosen once, and peaks of memory are a process's.
        for name in asked or BENCHES:
            subprocess.run([sys.executable, "-m", "bench", name], check=False)
