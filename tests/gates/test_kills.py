"""Kill -9 in the middle of an import and of a check run: whole or nothing, then finished by the ledger, once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

import pytest

from .size import count, say

pytestmark = pytest.mark.stand
BASE = Path(__file__).resolve().parents[2]


class Killed:
    """A stand of its own whose processes may be killed."""

    def __init__(self, folder: Path):
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        self.env |= {
            "OBSERVATORY_VAR": str(folder),
            "DJANGO_SETTINGS_MODULE": "observatory.settings",
            "JOB_LEASE_SECONDS": "1",
            "DEMO_PASSWORD": "gates-only-password",
            "LOG_LEVEL": "CRITICAL",
        }
        for name in ("SECRET_KEY", "VAULT_KEYS", "DIGEST_KEY", "REDIS_URL"):
            self.env.pop(name, None)
        self.database = ""
        if url := os.environ.get("DATABASE_URL", ""):
            import psycopg2

            self.database, self.admin = f"observatory_kills_{os.getpid()}", url.replace("postgres://", "postgresql://")
            connection = psycopg2.connect(self.admin)
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {self.database}")
            connection.close()
            self.env["DATABASE_URL"] = urlparse(url)._replace(path=f"/{self.database}").geturl()

    def drop(self) -> None:
        if self.database:
            import psycopg2

            connection = psycopg2.connect(self.admin)
            connection.autocommit = True
            connection.cursor().execute(f"DROP DATABASE {self.database} WITH (FORCE)")
            connection.close()

    def start(self, *arguments) -> subprocess.Popen:
        command = [sys.executable, "-m", "tests.gates.kill_world", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=BASE, env=self.env, text=True, **pipes)

    def ask(self, *arguments) -> dict:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-2000:]
        return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = Killed(tmp_path_factory.mktemp("kills"))
    try:
        made.told = made.ask("build")
        yield made
    finally:
        made.drop()


def undisturbed(world, job: int) -> float:
    """Work a job to its end; say how long it took, so that kills may fall anywhere in such a time."""
    process = world.start("work", job)
    process.stdout.readline()
    start = time.monotonic()
    process.communicate(timeout=60)
    return time.monotonic() - start


def killed_after(world, job: int, seconds: float) -> bool:
    """Start a worker on the job and kill it that long after it began; say whether it was still at work."""
    process = world.start("work", job)
    process.stdout.readline()
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    return False


def test_an_import_killed_anywhere_is_whole_or_nothing_and_is_finished_once(world):
    rng, kills = random.Random(7), 0
    trials = count(2, 40)
    units = world.told["units"]
    span = undisturbed(world, world.ask("import", 0)["job"])
    for turn in range(1, trials + 1):
        job = world.ask("import", turn)["job"]
        for _ in range(2):
            kills += killed_after(world, job, rng.uniform(0, 1) * span)
            seen = world.ask("state")
            # Never some drafts of this turn and some of the last: all firms stand at one revision.
            assert len(seen["revisions"]) <= 1, seen
            assert seen["chain"] is None
        assert world.ask("work", job)["state"] == "done"
        after = world.ask("state")
        assert after["revisions"] == {str(turn + 1): units}
        assert after["events"] == (turn + 1) * units  # once each, however often it was begun
        assert after["uploads"] == {"imported": turn + 1}
        assert after["open_jobs"] == 0
    assert kills
    say(f"imports: {trials} files, {kills} kills, 0 partial, 0 doubled, 0 lost")


def test_a_check_run_killed_anywhere_is_whole_or_nothing_and_is_finished_once(world):
    rng, kills = random.Random(8), 0
    trials = count(2, 40)
    span = undisturbed(world, world.ask("check", 0)["job"])
    whole = world.ask("state")
    assert whole["checked"] and whole["flags"] == whole["numbers"] > 0
    for turn in range(1, trials + 1):
        before = world.ask("state")
        job = world.ask("check", turn)["job"]
        for _ in range(2):
            kills += killed_after(world, job, rng.uniform(0, 1) * span)
            seen = world.ask("state")
            assert (seen["flags"], seen["numbers"]) == (whole["flags"], whole["numbers"]), (seen, whole)
            assert seen["check_runs"] == before["check_runs"] or [pk for _, pk in seen["check_runs"]] == [job]
        assert world.ask("work", job)["state"] == "done"
        after = world.ask("state")
        assert [pk for _, pk in after["check_runs"]] == [job]
        assert (after["flags"], after["numbers"]) == (whole["flags"], whole["numbers"])
        assert after["open_jobs"] == 0
    assert kills
    say(f"check runs: {trials} runs, {kills} kills, 0 partial, 0 doubled, 0 lost")
