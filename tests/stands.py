"""`make test`: the whole suite on the embedded stand, what a database can change on the other, and a last word.

The embedded stand (SQLite, filesystem broker) always runs; PostgreSQL with Redis runs where DATABASE_URL and REDIS_URL
name them or where they answer on their usual local ports. Pure functions and the looks of pages are tested once.
"""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest"]
QUICK = ["tests", "--ignore=tests/world", "--ignore=tests/live"]
EMBEDDED, SERVED = "SQLite and the embedded broker", "PostgreSQL and Redis"


@dataclass(frozen=True)
class Part:
    """A part of the suite, as one pytest process over one stand."""

    stand: str
    name: str
    arguments: tuple[str, ...]

    @property
    def slug(self) -> str:
        return f"{self.stand.split()[0].lower()}-{self.name}"


def stages(with_served: bool) -> list[list[Part]]:
    """What runs side by side. Live tests wait much and the others compute: together they keep two cores busy.

    The second stand leaves out what another database cannot change, and has the whole demonstration world, which
    takes minutes to load; every stand's live tests load a small one.
    """
    first = Part(EMBEDDED, "quick", (*QUICK, "-n", "2"))
    live, world = Part(EMBEDDED, "live", ("tests/live",)), Part(EMBEDDED, "world", ("tests/world",))
    if not with_served:
        return [[first], [live, world]]
    second = "--second-stand"
    return [
        [first],
        [live, Part(SERVED, "quick", (*QUICK, second))],
        [Part(SERVED, "live", ("tests/live", second)), Part(SERVED, "world", ("tests/world",))],
    ]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def local_postgres() -> str:
    """Return the URL of a local PostgreSQL that lets us make databases, or ''."""
    import psycopg2

    named = os.environ.get("DATABASE_URL")
    user = os.environ.get("PGUSER", "postgres")
    for url in [named] if named else [f"postgres://{user}@127.0.0.1:5432/postgres"]:
        with contextlib.suppress(psycopg2.Error):
            psycopg2.connect(url.replace("postgres://", "postgresql://"), connect_timeout=3).close()
            return url
    return ""


def find_browser() -> str:
    """Return the path of the system's Chromium, installing Debian's package where that is possible."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        say("Installing the system's Chromium for the browser tests …")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["apt-get", "update"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "chromium", "fonts-noto-core"], check=False, **quiet)
    return shutil.which("chromium") or ""


def run_stage(parts: list[Part], stands: dict[str, dict[str, str]], extra_args: list[str]) -> dict[Part, int]:
    """Run parts side by side, each into a log of its own, and print the logs. Returns exit codes."""
    clean = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")}
    logs = {part: Path(stands[part.stand]["OBSERVATORY_TEST_LOGS"], f"{part.slug}.log") for part in parts}
    say(
        "\n=== running "
        + ", ".join(f"{part.stand}: {part.name} tests (test-results/{part.slug}.log)" for part in parts)
    )
    codes, running = {}, {}
    with contextlib.ExitStack() as files:
        for part, path in logs.items():
            log = files.enter_context(path.open("w"))
            command = [*PYTEST, *part.arguments, *extra_args]
            env = clean | stands[part.stand]
            running[part] = subprocess.Popen(command, cwd=BASE, env=env, stdout=log, stderr=subprocess.STDOUT)
        for part, process in running.items():
            codes[part] = process.wait()
            say(f"\n=== {part.stand}: {part.name} tests\n{logs[part].read_text()}")
    return codes


def main() -> int:
    started = time.monotonic()
    logs = BASE / "test-results"
    logs.mkdir(exist_ok=True)
    browser = find_browser()
    common = {"OBSERVATORY_TEST_LOGS": str(logs), "OBSERVATORY_BROWSER": browser}
    stands = {EMBEDDED: common}
    left_out = []
    postgres, redis = local_postgres(), os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9")
    if postgres and (os.environ.get("REDIS_URL") or answers(6379)):
        stands[SERVED] = {**common, "DATABASE_URL": postgres, "REDIS_URL": redis}
    else:
        left_out.append(f"{SERVED}: one of them does not answer on its usual local port")
    if not browser:
        left_out.append("browser tests: no Chromium was found and none could be installed")
    if not (BASE.parent / "shared").exists():
        left_out.append("comparisons with the reference files, which are not beside this project")
    results: dict[Part, int] = {}
    for stage in stages(SERVED in stands):
        results |= run_stage(stage, stands, sys.argv[1:])
    say("")
    for name in stands:
        bad = [part.name for part, code in results.items() if code and part.stand == name]
        say(f"{name}: {'FAILED in ' + ', '.join(bad) if bad else 'all tests passed'}")
    for line in left_out:
        say(f"left out: {line}")
    say(f"{(time.monotonic() - started) / 60:.1f} minutes")
    return 1 if any(results.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
