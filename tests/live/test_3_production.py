"""The production stand as plain processes: its commands start, answer behind a proxy, and bring no demonstration."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from .conftest import BASE, Stand, until


@pytest.fixture
def production(tmp_path):
    if not os.environ.get("DATABASE_URL"):
        pytest.skip("a production stand needs PostgreSQL and Redis")
    stand = Stand(tmp_path)
    stand.env |= {
        "OBSERVATORY_STAND": "production",
        "SECRET_KEY": "s" * 50,
        "VAULT_KEYS": "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "DIGEST_KEY": "d" * 32,
        "ALLOWED_HOSTS": "observatory.example.org",
        "WEB_CONCURRENCY": "1",
    }
    stand.env.pop("DEMO_PASSWORD")
    yield stand
    stand.drop_database()


def test_the_commands_of_the_deployment_page_serve_an_empty_observatory(production):
    def manage(*args: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *args], cwd=BASE, env=production.env, check=True, capture_output=True
        )

    manage("migrate", "--noinput")
    manage("collectstatic", "--noinput")
    manage("load_registers")
    command = [
        "-m",
        "gunicorn",
        "observatory.wsgi",
        "--config",
        "deploy/gunicorn.conf.py",
        "--bind",
        f"127.0.0.1:{production.port}",
    ]
    web = subprocess.Popen([sys.executable, *command], cwd=BASE, env=production.env, start_new_session=True)
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "--app",
            "observatory",
            "worker",
            "--loglevel",
            "WARNING",
            "--concurrency",
            "1",
        ],
        cwd=BASE,
        env=production.env,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    try:
        home = urllib.request.Request(
            production.address + "/", headers={"Host": "observatory.example.org", "X-Forwarded-Proto": "https"}
        )

        def answered() -> str:
            try:
                with urllib.request.urlopen(home, timeout=5) as answer:
                    assert "max-age" in answer.headers["Strict-Transport-Security"]
                    return answer.read().decode()
            except urllib.error.URLError:
                return ""

        page = until(answered, 40, "the site answers")
        assert "Demonstration" not in page
        assert "32" in page or "24" in page  # the clusters of the founding documents are there
        assert worker.poll() is None
    finally:
        for process in (web, worker):
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate(timeout=30)
