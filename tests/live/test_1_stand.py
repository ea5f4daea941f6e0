"""The stand comes up by one command, survives kill -9, and stops whole. Each test builds on the one before."""

import os
import signal
import socket
import subprocess
import sys
import threading

from .conftest import BASE, until


def test_the_site_answers_while_the_world_is_loaded(stand):
    stand.start()

    assert "percent" in stand.get("/").lower() or "%" in stand.get("/")
    text = stand.out.read_text()
    assert "demo-supervisor" in text
    assert stand.env["DEMO_PASSWORD"] in text


def test_a_worker_killed_while_loading_goes_on_where_it_stopped(stand):
    until(
        lambda: (stand.value("SELECT done FROM jobs_job WHERE kind = 'load_demo'") or 0) >= 20, 60, "a fifth is loaded"
    )

    stand.kill_worker()

    until(lambda: stand.value("SELECT attempt FROM jobs_job WHERE kind = 'load_demo'") == 2, 60, "a second attempt")
    stand.wait_for_world()
    published = "SELECT label FROM cci_edition WHERE state = 'published' ORDER BY label"
    assert stand.query(published) == [("2024",), ("2025",)]
    assert stand.value("SELECT count(*) FROM cci_edition WHERE state IN ('computing', 'failed')") == 0
    twice = "SELECT subject FROM facts_return GROUP BY round_id, schedule, subject HAVING count(*) > 1"
    doubled = f"SELECT count(*) FROM ({twice}) AS d"
    assert stand.value(doubled) == 0


def test_a_worker_killed_while_computing_leaves_no_half_edition(stand, visitor):
    analyst = visitor("demo-analyst")
    fields = {"page": "/workspace/editions/", "round": "2025"}
    click = threading.Thread(target=analyst.post, args=["/workspace/editions/recompute/"], kwargs=fields)
    click.start()  # the answer may take longer than the computation

    def running():
        return stand.query("SELECT id FROM jobs_job WHERE kind = 'recompute_cci' AND state = 'running'")

    until(running, 30, "the computation runs")
    stand.kill_worker()
    click.join()
    edition = stand.query("SELECT id, state FROM cci_edition WHERE label = '2025.1'")[0]
    scores = stand.value(f"SELECT count(*) FROM cci_score WHERE edition_id = {edition[0]}")
    assert edition[1] == "computing"
    assert scores == 0

    done = f"SELECT state FROM cci_edition WHERE id = {edition[0]}"
    until(lambda: stand.value(done) == "candidate", 60, "the edition is computed after the restart")
    counts = "SELECT count(*), count(DISTINCT cluster_id), count(DISTINCT node) FROM cci_score"
    rows, clusters, nodes = stand.query(f"{counts} WHERE edition_id = {edition[0]}")[0]
    assert (rows, clusters) == (clusters * nodes, 24)
    assert nodes > 20
    attempt = stand.value("SELECT attempt FROM jobs_job WHERE kind = 'recompute_cci' ORDER BY id DESC LIMIT 1")
    assert attempt == 2
    assert stand.value("SELECT label FROM cci_edition WHERE state = 'published' AND label LIKE '2025%'") == "2025"


def test_web_and_beat_come_back_when_killed(stand):
    for words in ("gunicorn", "observatory beat"):
        before = set(stand.pids(words))
        assert before
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        until(lambda words=words, before=before: set(stand.pids(words)) - before, 30, f"{words} is back")

    def answers():
        try:
            return stand.get("/healthz")
        except OSError:
            return ""

    assert "ok" in until(answers, 30, "the site answers again")


def test_a_taken_port_is_said(stand):
    second = subprocess.run(
        [sys.executable, "-m", "observatory.run"],
        cwd=BASE,
        env=stand.env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert second.returncode == 1
    assert f"Port {stand.port} on 127.0.0.1 is taken" in second.stderr


def counts(stand):
    tables = (
        "facts_return",
        "vault_sealedanswers",
        "cci_edition",
        "cci_score",
        "audit_event",
        "clusters_cluster",
        "accounts_user",
    )
    return {table: stand.value(f"SELECT count(*) FROM {table}") for table in tables}


def test_ctrl_c_stops_all_of_it_and_a_second_start_changes_nothing(stand):
    before = counts(stand)

    stand.stop()
    assert stand.pids("observatory") == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections may linger, listeners may not
        probe.bind(("127.0.0.1", stand.port))
    stand.start()

    assert counts(stand) == before
    assert "being loaded" not in stand.out.read_text()
