"""A file between its arrival and its import: what was shown is what is kept."""

from core.jobs import ledger
from core.jobs.models import Job
from facts.models import Upload
from facts.services import uploads


def test_a_file_sent_again_at_another_scale_while_it_is_read_is_read_anew(town, tmp_path, settings, monkeypatch):
    settings.QUARANTINE_DIR = tmp_path
    monkeypatch.setattr(uploads, "SMALL", 0)  # nothing is read while its sender waits
    content = f"unit,UA01,UC01\n{town.units[0].frame_id},1,9000\n".encode()
    upload = uploads.receive(content, "a.csv", round_=town.round, scale=1, by=town.entry)
    reading = uploads.tried

    def sent_again_meanwhile(*args, **kwargs):
        monkeypatch.setattr(uploads, "tried", reading)
        uploads.receive(content, "a.csv", round_=town.round, scale=1_000_000, by=town.entry)
        return reading(*args, **kwargs)

    monkeypatch.setattr(uploads, "tried", sent_again_meanwhile)
    ledger.run(upload.job_id, heartbeat=False)
    upload.refresh_from_db()
    assert (upload.state, upload.scale) == (Upload.State.QUARANTINED, 1_000_000)

    ledger.run(Job.objects.get(state="queued").pk, heartbeat=False)
    upload.refresh_from_db()
    assert upload.state == Upload.State.READY
    assert uploads.report_of(upload).totals["UC01"][1] == 9_000_000_000
