"""A real server for tests that need one: gunicorn over a database of its own, without the demonstration world."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

BASE = Path(__file__).resolve().parents[1]


class Server:
    """gunicorn over a database of its own: SQLite in a folder, or a new one where DATABASE_URL names PostgreSQL."""

    def __init__(self, folder: Path, world: str, *, workers: int = 2):
        """`world` is Python that fills the database after it was migrated; what it prints stands in `said`."""
        self.env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        self.env |= {"OBSERVATORY_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "tests.settings", "LOG_LEVEL": "ERROR"}
        for name in ("SECRET_KEY", "VAULT_KEYS", "DIGEST_KEY", "REDIS_URL"):
            self.env.pop(name, None)
        self.database = ""
        if url := os.environ.get("DATABASE_URL", ""):
            self.database = f"observatory_server_{os.getpid()}"
            self.admin = url.replace("postgres://", "postgresql://")
            self._sql(f"CREATE DATABASE {self.database}")
            self.env["DATABASE_URL"] = urlparse(url)._replace(path=f"/{self.database}").geturl()
        self.run("from django.core.management import call_command; call_command('migrate', verbosity=0)")
        self.said = self.run(world).split()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        command = [sys.executable, "-m", "gunicorn", "observatory.wsgi", "-b", self.address, "--workers", str(workers)]
        self.process = subprocess.Popen(
            [*command, "--threads", "8", "--log-level", "error"], cwd=BASE, env=self.env, stderr=subprocess.DEVNULL
        )

    def _sql(self, text: str) -> None:
        import psycopg2

        connection = psycopg2.connect(self.admin)
        connection.autocommit = True
        connection.cursor().execute(text)
        connection.close()

    def run(self, code: str) -> str:
        """Run Python beside the server, over the same database; return what it printed."""
        code = f"import django; django.setup()\n{code}"
        done = subprocess.run([sys.executable, "-c", code], cwd=BASE, env=self.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    def wait(self) -> None:
        host, port = self.address.split(":")
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex((host, int(port))) == 0:
                    return
        raise AssertionError("the server did not come up")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        if self.database:
            self._sql(f"DROP DATABASE {self.database} WITH (FORCE)")
