"""A thousand spoilt files through the real page: no fault of ours, no import in part, little memory, a sentence."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import openpyxl
import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from facts.models import Return, Upload
from facts.services import uploads
from facts.services.templates import template_file
from tests.facts.valid_returns import UNIT
from tests.servers import Server

from .size import FULL, count, say

BASE = Path(__file__).resolve().parents[2]
MUTANTS = count(40, 1_000)


def fill_in(folder: Path, town) -> None:
    """A good workbook and a good CSV: the templates, filled in for three firms."""
    path = folder / "good.xlsx"
    path.write_bytes(template_file("UNIT", round_=town.round, cluster=town.cluster, ending=".xlsx", by=town.entry))
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    cells = {code: ";".join(value) if isinstance(value, list) else value for code, value in UNIT.items()}
    for row in (3, 4, 5):
        for column, title in enumerate([cell.value for cell in sheet[1]][1:], start=2):
            sheet.cell(row, column, cells.get(title))
    book.save(path)
    _with_shared_strings(path)
    lines = [["unit", *cells]] + [[unit.frame_id, *map(str, cells.values())] for unit in town.units]
    (folder / "good.csv").write_text("\n".join(",".join(line) for line in lines))


def _with_shared_strings(path: Path) -> None:
    """Write the workbook anew as spreadsheet programs do it, with its words in a part of their own."""
    import xlsxwriter

    old = openpyxl.load_workbook(path)
    with xlsxwriter.Workbook(path, {"strings_to_formulas": False}) as book:
        for sheet in old.worksheets:
            new = book.add_worksheet(sheet.title)
            new.set_column(0, 3, 20)
            for row in sheet.iter_rows():
                for cell in row:
                    if cell.value is not None:
                        new.write(cell.row - 1, cell.column - 1, cell.value)
            if sheet.sheet_state != "visible":
                new.hide()


@pytest.fixture
def page(town, settings, tmp_path):
    settings.QUARANTINE_DIR = tmp_path / "quarantine"
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    client = Client()
    client.force_login(town.entry)

    def send(content: bytes, name: str):
        file = SimpleUploadedFile(name, content)
        return client.post(reverse("facts:import"), {"file": file, "scale": "1", "round": town.round.pk})

    send.client = client
    return send


def confirmed(send, upload: Upload) -> Upload:
    answer = send.client.post(reverse("facts:upload", args=[upload.pk]), {"digest": upload.digest})
    assert answer.status_code == 302
    upload.refresh_from_db()
    return upload


def settled(upload: Upload) -> Upload:
    """Work the job of a larger file, as the worker would."""
    from core.jobs import ledger

    upload.refresh_from_db()
    if upload.job.is_open:
        ledger.run(upload.job_id)
        upload.refresh_from_db()
    return upload


def test_the_files_that_are_spoilt_below_are_good(page, town, tmp_path):
    fill_in(tmp_path, town)
    for name in ("good.xlsx", "good.csv"):
        page((tmp_path / name).read_bytes(), name)
        upload = settled(Upload.objects.latest("pk"))
        assert (upload.state, upload.counts["rows"]) == ("ready", 3), uploads.report_of(upload)


def test_no_spoilt_file_harms(page, town, tmp_path):
    folder = tmp_path / "mutants"
    folder.mkdir()
    fill_in(folder, town)
    subprocess.run([sys.executable, "-m", "tests.gates.mutants", str(folder), str(MUTANTS)], cwd=BASE, check=True)
    ends: Counter = Counter()
    rules: Counter = Counter()
    slowest = (0.0, "")

    for path in sorted(folder.glob("[0-9]*")):
        started = time.monotonic()
        answer = page(path.read_bytes(), path.name)
        assert answer.status_code in (200, 302), path.name
        if answer.status_code == 200:
            words = " ".join(answer.context["form"].errors.get("file", []))
            assert words.endswith("."), path.name
            ends["refused at the door"] += 1
            continue
        upload = settled(Upload.objects.get(pk=int(answer.url.rstrip("/").rsplit("/", 1)[1])))
        shown = page.client.get(answer.url)
        assert shown.status_code == 200, path.name
        assert not Return.objects.exists(), path.name
        report = uploads.report_of(upload)
        assert not upload.job.is_open and upload.job.state == "done", (path.name, upload.job.error)
        if upload.state == "refused":
            assert report.refused, path.name
            for _, _, _, _, message, mend, rule in report.refused:
                assert message and message[-1] in ".)” " and mend, (path.name, message)
                rules[rule.split("-", 1)[1] if rule[:1] == "U" else rule] += 1
            assert not (settings.QUARANTINE_DIR / f"{upload.pk}.sealed").exists()
        else:
            assert upload.state == "ready", path.name
            rows = upload.counts["rows"]
            assert settled(confirmed(page, upload)).state in ("imported", "refused")
            assert Return.objects.count() in ((rows,) if upload.state == "imported" else (0,)), path.name
            _forget()
        ends[upload.state] += 1
        slowest = max(slowest, (time.monotonic() - started, path.name))

    assert sum(ends.values()) == MUTANTS
    assert ends["refused"] > MUTANTS / 2
    say(
        f"{MUTANTS} spoilt files: 0 faults, 0 imports in part; {dict(ends)}; "
        f"slowest {slowest[0]:.1f} s ({slowest[1]}); rules {dict(rules.most_common(25))}"
    )


WORLD = """
from django.test import Client
from tests.factories import Town
town, client = Town(), Client()
client.force_login(town.entry)
print(client.cookies["sessionid"].value, town.round.pk)
"""


def send(server: Server, content: bytes, name: str) -> int:
    """Upload a file as a browser does; the status of the page to which it leads."""
    session, round_pk = server.said
    address = f"http://{server.address}{reverse('facts:import')}"
    token = "a" * 32
    fields = {"csrfmiddlewaretoken": token, "scale": "1", "round": round_pk}
    body = b"".join(
        f'--B\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    )
    head = f'--B\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    headers = {
        "Cookie": f"sessionid={session}; csrftoken={token}",
        "Content-Type": "multipart/form-data; boundary=B",
    }
    request = urllib.request.Request(address, body + head.encode() + content + b"\r\n--B--\r\n", headers)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def memory(pid: int, what: str) -> int:
    """Megabytes of a process: VmRSS now, VmHWM at its highest."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) // 1000


def test_the_memory_of_the_web_process_stays_bounded(town, tmp_path):
    folder = tmp_path / "mutants"
    folder.mkdir()
    fill_in(folder, town)
    subprocess.run([sys.executable, "-m", "tests.gates.mutants", str(folder), str(MUTANTS)], cwd=BASE, check=True)
    paths = sorted(folder.glob("[0-9]*"))
    if not FULL:
        paths = sorted(paths, key=lambda path: -path.stat().st_size)[:4] + paths[:8]
    server = Server(tmp_path / "stand", WORLD, workers=1)
    try:
        server.wait()
        for name in ("good.csv", "good.xlsx") * 2:  # what is loaded once is not counted
            assert send(server, (folder / name).read_bytes(), name) == 200
        master = server.process.pid
        worker = int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])
        before = memory(worker, "VmRSS")

        statuses = Counter(send(server, path.read_bytes(), path.name) for path in paths)

        assert set(statuses) == {200}
        assert worker == int(Path(f"/proc/{master}/task/{master}/children").read_text().split()[0])
        grown = memory(worker, "VmHWM") - before
    finally:
        server.stop()
    say(f"{len(paths)} spoilt files over HTTP: {dict(statuses)}; memory of the web process +{grown} MB at its highest")
    assert grown < 100


def _forget() -> None:
    """Take the drafts of a harmless mutant away, so that the next one begins with nothing."""
    from facts.vault.models import SealedAnswers

    SealedAnswers.objects.filter(number=0).delete()
    Return.objects.all().delete()
