"""`make run`: one command to a served site with its worker and scheduler.

Prepares what is missing, then hands over to supervisord, which starts web, worker and beat, restarts what dies and
stops all of it on Ctrl-C. `python -m observatory.run announce` waits until the site answers and says where it is.
"""

import fcntl
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HOST = "127.0.0.1"
READY_WITHIN = 90  # seconds
CONFIG = """\
; Written by `make run`; changes here are lost.
[supervisord]
nodaemon=true
silent=true
logfile={var}/log/supervisord.log
logfile_maxbytes=1MB
logfile_backups=1
pidfile={var}/supervisord.pid
childlogdir={var}/log
{user}

[program:web]
command="{bin}/gunicorn" observatory.wsgi --bind {host}:{port} --worker-class gthread --workers 2 --threads 8 {quiet}
[program:worker]
command="{bin}/celery" --app observatory worker --pool solo --loglevel WARNING --without-gossip --without-mingle
[program:beat]
command="{bin}/celery" --app observatory beat --loglevel WARNING --pidfile=
[program:announce]
command="{bin}/python" -m observatory.run announce
"""
PROGRAM = """\
directory={base}
stopasgroup=true
killasgroup=true
stopwaitsecs=15
startsecs=2
startretries=1000000
autorestart={autorestart}
stdout_logfile={stdout}
stdout_logfile_maxbytes=0
redirect_stderr=true
"""


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def port_from_environment() -> int:
    text = os.environ.get("PORT", "8000")
    if not (text.isdigit() and 0 < int(text) < 65536):
        raise SystemExit(f"PORT is {text!r}; it must be a number from 1 to 65535.")
    return int(text)


def refuse_taken_port(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise SystemExit(
                f"Port {port} on {HOST} is taken by another program, perhaps an earlier `make run`.\n"
                f"Stop it, or choose another port:  make run PORT={port + 80 if port < 65000 else 8080}"
            ) from None


def prepare() -> None:
    """Migrate, collect static files, enter registers and accounts, queue the demonstration world once."""
    import django
    from django.conf import settings
    from django.core.management import call_command

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    django.setup()
    if not settings.DEMO:
        raise SystemExit(
            "`make run` serves the demonstration stand. A production stand is described in docs/deploy.md."
        )
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    from core.jobs import ledger
    from core.jobs.models import Job
    from observatory.demo import ensure_accounts, renew_days, renew_password

    renew_password()
    renew_days()
    if Job.objects.filter(kind="load_demo", state="done").exists():
        return
    from clusters.seed import load_reference, load_seed

    load_reference()
    load_seed()
    ensure_accounts()
    size, rounds = float(os.environ.get("DEMO_SIZE", "1")), int(os.environ.get("DEMO_ROUNDS", "5"))
    ledger.enqueue("load_demo", key="world", size=size, rounds=rounds)


def supervise(port: int) -> None:
    """Write supervisord's configuration and become supervisord."""
    from django.conf import settings

    var = settings.VAR_DIR
    (var / "log").mkdir(parents=True, exist_ok=True)
    # supervisord reads % as the start of a variable and splits commands as a shell does.
    text = CONFIG.format(
        var=_plain(var),
        bin=_plain(BIN),
        host=HOST,
        port=port,
        user="user=root" if os.geteuid() == 0 else "",
        quiet="--timeout 60 --graceful-timeout 10 --log-level warning",
    )
    for name in ("web", "worker", "beat", "announce"):
        part = PROGRAM.format(
            base=_plain(BASE),
            autorestart="false" if name == "announce" else "true",
            stdout="/dev/fd/1" if name == "announce" else _plain(var / "log" / f"{name}.log"),
        )
        head, mark, tail = text.partition(f"[program:{name}]\n")
        command, _, rest = tail.partition("\n")
        text = f"{head}{mark}{command}\n{part}{rest}"
    config = var / "supervisord.conf"
    config.write_text(text)
    os.environ["PORT"] = str(port)
    os.execv(BIN / "supervisord", ["supervisord", "--configuration", str(config)])


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")


def hold_folder(var: Path) -> None:
    """Let one run at a time use a folder: the lock lives as long as supervisord, which this process becomes."""
    var.mkdir(parents=True, exist_ok=True)
    lock = (var / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f"Another `make run` uses {var} already. Stop it first (Ctrl-C where it runs).") from None
    os.set_inheritable(lock.fileno(), True)
    globals()["_lock"] = lock  # closing it would let go


def announce(port: int) -> None:
    """Wait until the site answers; print its address, the accounts and the password."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "observatory.settings")
    django.setup()
    from django.conf import settings
    from rest_framework.authtoken.models import Token

    from core.jobs.models import Job
    from observatory.demo import ACCOUNTS

    address = f"http://{HOST}:{port}/"
    deadline = time.monotonic() + READY_WITHIN
    while not _answers(address + "healthz"):
        if time.monotonic() > deadline:
            say(f"The site does not answer after {READY_WITHIN} seconds. See {settings.VAR_DIR / 'log'}.")
            return
        time.sleep(0.25)
    say(f"\n  Cluster Observatory   {address}\n")
    if not Job.objects.filter(kind="load_demo", state="done").exists():
        say("  The demonstration world is being loaded; the home page shows how far it is (about two minutes).\n")
    say(f"  Sign in with one of these accounts; the password of all is   {settings.DEMO_PASSWORD}\n")
    for name, what in ACCOUNTS.items():
        say(f"    {name:16} {what}")
    token = Token.objects.filter(user__username="demo-client").first()
    if token:
        say(f"\n  Over the API, demo-client sends the header   Authorization: Token {token.key}")
    say("\n  All figures are invented and marked so. Stop with Ctrl-C.\n")


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    port = port_from_environment()
    if sys.argv[1:] == ["announce"]:
        announce(port)
        return
    refuse_taken_port(port)
    try:
        hold_folder(Path(os.environ.get("OBSERVATORY_VAR", BASE / "var")))
        say("Preparing …")
        prepare()
        supervise(port)
    except PermissionError as exc:
        raise SystemExit(
            f"{exc.filename} cannot be written. Give this account the right, or set OBSERVATORY_VAR."
        ) from None


if __name__ == "__main__":
    main()
