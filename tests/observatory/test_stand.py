"""A production stand starts only with its own secrets, and refuses what is invented."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BASE = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "OBSERVATORY_STAND": "production",
    "SECRET_KEY": "x" * 50,
    "VAULT_KEYS": "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    "DIGEST_KEY": "x",
    "DATABASE_URL": "sqlite:////tmp/never-made.sqlite3",
    "REDIS_URL": "redis://127.0.0.1:6379/9",
    "ALLOWED_HOSTS": "example.org",
}


def manage(*args: str, tmp_path: Path, **env: str) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if k in ("PATH", "HOME", "LANG")}
    return subprocess.run(
        [sys.executable, "manage.py", *args],
        cwd=BASE,
        env={**clean, "OBSERVATORY_VAR": str(tmp_path), **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_demonstration_stand_needs_nothing_and_keeps_its_secrets(tmp_path):
    assert manage("check", tmp_path=tmp_path).returncode == 0
    secrets = (tmp_path / "secrets.env").read_text()
    assert manage("check", tmp_path=tmp_path).returncode == 0

    assert (tmp_path / "secrets.env").read_text() == secrets
    assert (tmp_path / "secrets.env").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "missing", ["SECRET_KEY", "VAULT_KEYS", "DIGEST_KEY", "REDIS_URL", "DATABASE_URL", "ALLOWED_HOSTS"]
)
def test_a_production_stand_refuses_to_start_without(missing, tmp_path):
    env = {name: value for name, value in PRODUCTION.items() if name != missing}

    answer = manage("check", tmp_path=tmp_path, **env)

    assert answer.returncode != 0
    assert missing in answer.stderr
    assert not (tmp_path / "secrets.env").exists()


def test_a_production_stand_refuses_demonstration_data_and_password(tmp_path):
    loading = manage("load_demo", tmp_path=tmp_path, **PRODUCTION)
    password = manage("check", tmp_path=tmp_path, **PRODUCTION, DEMO_PASSWORD="x")

    assert loading.returncode != 0
    assert "refuses the demonstration data" in loading.stderr
    assert password.returncode != 0


def test_an_unknown_stand_is_refused(tmp_path):
    assert "must be 'demo' or 'production'" in manage("check", tmp_path=tmp_path, OBSERVATORY_STAND="test").stderr


def test_a_key_that_is_no_key_is_refused(tmp_path):
    answer = manage(
        "shell", "-c", "from facts.vault.store import seal; seal(b'x', 'y')", tmp_path=tmp_path, VAULT_KEYS="k1:short"
    )

    assert "32 bytes" in answer.stderr


def test_every_setting_of_the_example_is_read_and_every_required_one_is_in_it():
    named = {
        line.split("=")[0]
        for line in (BASE / ".env.example").read_text().splitlines()
        if "=" in line and line[0] != "#"
    }
    code = (BASE / "observatory/settings.py").read_text() + (BASE / "docker-compose.yml").read_text()
    code += (BASE / "deploy/gunicorn.conf.py").read_text()

    assert {name for name in named if name not in code} == set()
    assert {"SECRET_KEY", "VAULT_KEYS", "DIGEST_KEY", "ALLOWED_HOSTS"} <= named


def test_the_compose_file_starts_what_the_architecture_names():
    compose = yaml.safe_load((BASE / "docker-compose.yml").read_text())

    assert {"postgres", "redis", "web", "worker", "beat", "proxy"} <= set(compose["services"])
    for name in ("web", "worker", "beat"):
        assert compose["services"][name]["environment"]["OBSERVATORY_STAND"] == "production"
    assert "ports" not in compose["services"]["web"]


def test_no_file_names_a_package_registry():
    hosts = ("pypi" + ".org", "pythonhosted" + ".org", "npmjs" + ".org", "deb.debian" + ".org")
    files = subprocess.run(["git", "ls-files"], cwd=BASE, capture_output=True, text=True, check=True).stdout.split("\n")
    found = []
    for name in filter(None, files):
        path = BASE / name
        if path.is_file() and path.stat().st_size < 2_000_000:
            text = path.read_text(errors="ignore")
            found += [f"{name}: {host}" for host in hosts if host in text]

    assert found == []
