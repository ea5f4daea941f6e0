"""`make gates`: the gates of trust, one line each, with what was measured. Full counts where GATES=full.

python -m tests.gates [G1 G11 …]
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

BASE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Gate:
    """One row of the table: what must hold, the tests that show it, or why there is none here."""

    number: str
    holds: str
    tests: tuple[str, ...] = ()
    missing: str = ""


GATES = (
    Gate("G1", "matrix: every route × method × format × role × tenant as written", ("tests/gates/test_matrix.py",)),
    Gate("G2", "canary: planted values nowhere but where entitled", ("tests/gates/test_canary.py",)),
    Gate(
        "G3",
        "disclosure: no firm within 15 % for any attacker, in one edition",
        ("tests/facts/disclosure",),
    ),
    Gate(
        "G4",
        "disclosure: nor over all editions together",
        (
            "tests/facts/disclosure/test_audit.py::test_five_editions_of_a_round_tell_nobody_but_publishing_all_at_once_does",
            "tests/facts/disclosure/test_masks.py::test_editions_of_a_round_together_tell_nobody",
            "tests/facts/disclosure/test_masks.py::test_one_late_return_is_held_back",
            "tests/facts/disclosure/test_masks.py::test_publishing_one_late_return_at_once_is_found",
        ),
    ),
    Gate("G5", "fuzz: no fault of ours, three roles", ("tests/gates/test_fuzz.py",)),
    Gate(
        "G6",
        "kill -9: nothing lost, doubled or half",
        ("tests/gates/test_kills.py", "tests/live/test_1_stand.py"),
    ),
    Gate("G7", "delivery: jobs told of once, twice, late or never are done once", ("tests/core/test_jobs.py",)),
    Gate(
        "G8",
        "64 equal submits, 64 edits: one version, one winner",
        (
            "tests/live/test_1_together.py",
            "tests/api/test_idempotency.py",
            "tests/workspace/test_autosave.py",
        ),
    ),
    Gate("G9", "200 slow clients: the others are served", missing="not built yet"),
    Gate("G10", "deep, huge and bomb bodies are refused", ("tests/api/test_errors.py", "tests/facts/test_intake.py")),
    Gate("G11", "spoilt files: no fault, no import in part", ("tests/gates/test_files.py",)),
    Gate("G12", "disk full: what was acknowledged is there", missing="not built yet"),
    Gate("G13", "restore: every digest and the chain verified", missing="not built yet"),
    Gate("G14", "clock 26 hours off: deadlines by the database", missing="not built yet"),
    Gate("G15", "accounts: guesses do not get in, the owner does", ("tests/gates/test_accounts.py",)),
    Gate("G16", "audit: one event a change, none on rollback, tampering found", ("tests/gates/test_audit.py",)),
    Gate("G17", "migration while running: no failed request", missing="not built yet"),
    Gate("G18", "browser: no CSP violation, no foreign request", ("tests/live/test_2_walk.py",)),
    Gate("G19", "reproducible: every row and digest again", ("tests/cci/test_revisions.py", "tests/cci/test_runs.py")),
)


class Counted:
    """A pytest plugin that counts what passed, failed and was left out."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.failed += 1
        elif report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.passed += 1


def run_one(number: str) -> int:
    """Run the tests of one gate in this process; print one line that the table is made of."""
    gate = next(one for one in GATES if one.number == number)
    counted = Counted()
    code = pytest.main([*gate.tests, "-n", "0"], plugins=[counted])
    print(f"counted {counted.passed} {counted.failed} {counted.skipped}")
    return code


def run(gates: list[Gate]) -> int:
    failed = 0
    print(f"{'gate':<5}{'result':<10}{'seconds':>8}  what holds, and what was measured", flush=True)
    for gate in gates:
        if gate.missing:
            print(f"{gate.number:<5}{'–':<10}{'':>8}  {gate.holds}: {gate.missing}", flush=True)
            continue
        started = time.monotonic()
        with tempfile.NamedTemporaryFile("r", suffix=".txt") as figures:
            # Each in a process of its own: a gate that dies takes no other along.
            done = subprocess.run(
                [sys.executable, "-m", "tests.gates", "--one", gate.number],
                cwd=BASE,
                env=os.environ | {"GATE_FIGURES": figures.name},
                capture_output=True,
                text=True,
                check=False,
            )
            said = [line.strip() for line in figures.read().splitlines() if line.strip()]
        found = next((line.split()[1:] for line in done.stdout.splitlines() if line.startswith("counted ")), [])
        passed, wrong, skipped = map(int, found or (0, 1, 0))
        is_met = done.returncode == 0 and passed > 0 and not wrong
        failed += not is_met
        seconds = time.monotonic() - started
        tests = (
            f"{passed} tests" + (f", {skipped} left out" if skipped else "") + (f", {wrong} failed" if wrong else "")
        )
        print(
            f"{gate.number:<5}{'met' if is_met else 'NOT MET':<10}{seconds:>8.1f}  {gate.holds} ({tests})", flush=True
        )
        for line in said:
            print(f"{'':<25}{line}", flush=True)
        if not is_met:
            print("\n".join(done.stdout.splitlines()[-30:] + done.stderr.splitlines()[-10:]), flush=True)
    return failed


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked[:1] == ["--one"]:
        sys.exit(run_one(asked[1]))
    if unknown := [name for name in asked if name not in [gate.number for gate in GATES]]:
        sys.exit(f"There is no gate {unknown[0]}. Name any of {', '.join(gate.number for gate in GATES)}.")
    sys.exit(1 if run([gate for gate in GATES if not asked or gate.number in asked]) else 0)
