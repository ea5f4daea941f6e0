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
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest"]
QUICK = ["tests", "--ignore=tests/world", "--ignore=tests/live", "-n", "2"]
SLOW = {"world": ["tests/world"], "live": ["tests/live"]}


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


def run_parts(name: str, parts: dict[str, list[str]], env: dict[str, str]) -> dict[str, int]:
    """Run parts of the suite side by side, each into a log of its own. Returns exit codes by part."""
    logs, running = Path(env["OBSERVATORY_TEST_LOGS"]), {}
    for part, arguments in parts.items():
        log = (logs / f"{name.split()[0].lower()}-{part}.log").open("w")
        command = [*PYTEST, *arguments]
        running[part] = subprocess.Popen(command, cwd=BASE, env=env, stdout=log, stderr=subprocess.STDOUT), log
    codes = {}
    for part, (process, log) in running.items():
        codes[part] = process.wait()
        log.close()
        say(f"\n=== {name}: {part} tests\n{Path(log.name).read_text()}")
    return codes


def run_stand(name: str, extra: dict[str, str], extra_args: list[str], *, second: bool, world: bool) -> dict[str, int]:
    """Run the suite on one stand: quick tests on both cores, then the live ones, and the whole world beside them.

    second : leave out what another database cannot change. world : load the whole demonstration world, too.
    """
    env = {key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "REDIS_URL")} | extra
    say(f"\n=== {name}: quick tests")
    less = ["--second-stand"] if second else []
    codes = {"quick": subprocess.run([*PYTEST, *QUICK, *less, *extra_args], cwd=BASE, env=env, check=False).returncode}
    slow = SLOW if world else {part: arguments for part, arguments in SLOW.items() if part != "world"}
    return codes | run_parts(name, {part: [*arguments, *less, *extra_args] for part, arguments in slow.items()}, env)


def main() -> int:
    started = time.monotonic()
    logs = BASE / "test-results"
    logs.mkdir(exist_ok=True)
    browser = find_browser()
    common = {"OBSERVATORY_TEST_LOGS": str(logs), "OBSERVATORY_BROWSER": browser}
    stands = {"SQLite and the embedded broker": common}
    left_out = []
    postgres, redis = local_postgres(), os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/9")
    if postgres and (os.environ.get("REDIS_URL") or answers(6379)):
        stands["PostgreSQL and Redis"] = {**common, "DATABASE_URL": postgres, "REDIS_URL": redis}
    else:
        left_out.append("PostgreSQL and Redis: one of them does not answer on its usual local port")
    if not browser:
        left_out.append("browser tests: no Chromium was found and none could be installed")
    if not (BASE.parent / "shared").exists():
        left_out.append("comparisons with the reference files, which are not beside this project")
    # The whole world needs minutes to load; the last stand has it. Every stand's live tests load a small one.
    results = {
        name: run_stand(name, extra, sys.argv[1:], second=n > 1, world=n == len(stands))
        for n, (name, extra) in enumerate(stands.items(), start=1)
    }
    failed = False
    say("")
    for name, codes in results.items():
        bad = [part for part, code in codes.items() if code]
        failed |= bool(bad)
        say(f"{name}: {'FAILED in ' + ', '.join(bad) if bad else 'all tests passed'}")
    for line in left_out:
        say(f"left out: {line}")
    say(f"{(time.monotonic() - started) / 60:.1f} minutes")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
