"""A real stand: `make run`'s own command in a folder of its own, with a small demonstration world.

On PostgreSQL and Redis where DATABASE_URL and REDIS_URL say so, else on SQLite with the embedded broker.
"""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import sync_playwright

BASE = Path(__file__).resolve().parents[2]
PASSWORD = "live-tests-only"


def until(condition, seconds: float, what: str):
    """Ask again and again until something holds; a limit keeps a fault from hanging the suite."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Stand:
    """One running stand: its folder, its address, its database, its processes."""

    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("DJANGO_", "PYTEST_"))}
        self.env |= {
            "OBSERVATORY_VAR": str(folder),
            "PORT": str(self.port),
            "DEMO_SIZE": "0.15",
            "DEMO_ROUNDS": "2",
            "DEMO_PASSWORD": PASSWORD,
            "JOB_LEASE_SECONDS": "6",
        }
        for name in ("SECRET_KEY", "VAULT_KEYS", "DIGEST_KEY", "OBSERVATORY_STAND"):
            self.env.pop(name, None)
        self.database = self._make_database()
        self.process: subprocess.Popen | None = None
        self.out = folder / "out.txt"

    def _make_database(self) -> str:
        url = os.environ.get("DATABASE_URL", "")
        if not url:
            return ""
        import psycopg2

        self.admin = url.replace("postgres://", "postgresql://")
        self.name = f"observatory_live_{os.getpid()}_{self.port}"
        connection = psycopg2.connect(self.admin)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {self.name}")
            cursor.execute(f"CREATE DATABASE {self.name}")
        connection.close()
        self.env["DATABASE_URL"] = urlparse(url)._replace(path=f"/{self.name}").geturl()
        self.env["CELERY_QUEUE"] = self.name
        return self.env["DATABASE_URL"].replace("postgres://", "postgresql://")

    def drop_database(self) -> None:
        if not self.database:
            return
        import psycopg2

        connection = psycopg2.connect(self.admin)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")
        connection.close()

    def query(self, sql: str) -> list[tuple]:
        """Ask the stand's database directly."""
        if self.database:
            import psycopg2

            with contextlib.closing(psycopg2.connect(self.database)) as connection, connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        path = f"file:{self.folder / 'db.sqlite3'}?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=20)) as connection:
            return connection.execute(sql).fetchall()

    def value(self, sql: str):
        rows = self.query(sql)
        return rows[0][0] if rows else None

    def start(self) -> None:
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "observatory.run"],
                cwd=BASE,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(lambda: self.address in self.out.read_text(), 90, "the address is printed")

    def serve(self, module: str) -> None:
        """Let a module build a small world of its own, and serve it without worker and scheduler."""
        built = subprocess.run(
            [sys.executable, "-m", module], cwd=BASE, env=self.env, check=False, capture_output=True, text=True
        )
        assert built.returncode == 0, built.stderr[-2000:]
        self.world = json.loads(built.stdout.splitlines()[-1])
        command = [sys.executable, "-m", "gunicorn", "observatory.wsgi", "--threads", "8"]
        with self.out.open("w") as out:
            self.process = subprocess.Popen(
                [*command, "-b", f"127.0.0.1:{self.port}"],
                cwd=BASE,
                env=self.env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def answers() -> bool:
            try:
                return "ok" in self.get("/healthz")
            except OSError:
                return False

        until(answers, 60, "the server answers")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
            self.process.wait(timeout=40)

    def wait_for_world(self, seconds: float = 150) -> None:
        def ready():
            state = self.value("SELECT state FROM jobs_job WHERE kind = 'load_demo'")
            assert state not in ("failed", "dead"), self.query("SELECT stage, error FROM jobs_job")
            return state == "done"

        until(ready, seconds, "the demonstration world is loaded")

    def pids(self, words: str) -> list[int]:
        """Processes of this stand whose command line holds `words`."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="ignore")
                    environment = (entry / "environ").read_bytes().decode(errors="ignore")
                    if words in line and f"OBSERVATORY_VAR={self.folder}" in environment:
                        found.append(int(entry.name))
        return found

    def kill_worker(self) -> None:
        for pid in self.pids("observatory worker"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.address + path, timeout=20) as answer:
            return answer.read().decode()


class Visitor:
    """A person with cookies, who sends forms with the page's token."""

    def __init__(self, stand: Stand):
        import http.cookiejar

        self.stand = stand
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path: str) -> str:
        with self.opener.open(self.stand.address + path, timeout=30) as answer:
            return answer.read().decode()

    def post(self, path: str, page: str | None = None, **fields: str) -> str:
        from urllib.parse import urlencode

        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(page or path))
        assert token, "no form on the page"
        body = urlencode({**fields, "csrfmiddlewaretoken": token[1]}).encode()
        request = urllib.request.Request(
            self.stand.address + path, data=body, headers={"Referer": self.stand.address + (page or path)}
        )
        with self.opener.open(request, timeout=30) as answer:
            return answer.read().decode()

    def sign_in(self, username: str) -> "Visitor":
        self.post("/accounts/sign-in/", username=username, password=PASSWORD)
        return self


@pytest.fixture(scope="session")
def stand(tmp_path_factory):
    made = Stand(tmp_path_factory.mktemp("stand"))
    try:
        yield made
    finally:
        made.stop()
        made.drop_database()


@pytest.fixture(scope="module")
def browser(browser_path):
    with sync_playwright() as play:
        launched = play.chromium.launch(
            executable_path=browser_path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        )
        yield launched
        launched.close()


@pytest.fixture
def visitor(stand):
    return lambda username: Visitor(stand).sign_in(username)
