"""A round at the size of a country: a million unit returns over 6,000 clusters, through the services people use.

python -m bench scale            on PostgreSQL where one answers, else on SQLite
BENCH_RETURNS=100000             how many unit returns; default 1,000,000 on PostgreSQL and 100,000 on SQLite
BENCH_STAND=sqlite               take SQLite even where PostgreSQL answers

The returns are the demonstration panel's, invented, copied to as many clusters as it takes.
"""

import csv
import datetime as dt
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASE = "observatory_bench"
PANEL_YEAR = 2025
YEAR = 2031  # a round of its own
WHOLE_ROUND_MAX = 1_200  # clusters


def prepare_stand() -> str:
    """Point the settings at an empty database of our own; say on which engine."""
    from tests.stands import answers, local_postgres

    server = "" if os.environ.get("BENCH_STAND") == "sqlite" else local_postgres()
    os.environ.pop("DATABASE_URL", None)
    redis = os.environ.pop("REDIS_URL", "redis://127.0.0.1:6379/9")
    os.environ["CELERY_QUEUE"] = DATABASE  # workers of other stands leave these jobs alone
    if not server:
        return "SQLite"
    if answers(6379):
        os.environ["REDIS_URL"] = redis
    import psycopg2

    connection = psycopg2.connect(server.replace("postgres://", "postgresql://"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
    connection.close()
    os.environ["DATABASE_URL"] = f"{server.rsplit('/', 1)[0]}/{DATABASE}"
    return "PostgreSQL"


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def now_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def measured(name: str, rows: int, floor: float | None = None) -> Iterator[None]:
    """Print a line: seconds, rows a second, floor and ratio, memory now and at its peak."""
    start = time.perf_counter()
    yield
    took = time.perf_counter() - start
    against = f"{floor:9.1f}{took / floor:8.1f}" if floor else f"{'':17}"
    print(f"{name:58}{took:9.1f}{rows / took:12,.0f}{against}{now_mib():8,.0f}{peak_mib():8,.0f}", flush=True)


def heading(title: str) -> None:
    print(f"\n{title}\n{'':58}{'seconds':>9}{'rows/s':>12}{'floor s':>9}{'ratio':>8}{'MiB':>8}{'peak':>8}", flush=True)


def run() -> None:
    """Load, import, hand in, accept, freeze, compute and check one round; print each beside its floor."""
    engine = prepare_stand()
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    settings.DEBUG = False
    call_command("migrate", verbosity=0)
    many = int(os.environ.get("BENCH_RETURNS", 1_000_000 if engine == "PostgreSQL" else 100_000))
    world = World(many)
    heading(f"{engine}: {world.returns:,} unit returns over {len(world.clusters):,} clusters")
    world.build()
    world.seed_accepted(YEAR - 1)
    analyze()
    with tempfile.TemporaryDirectory(prefix="observatory-bench-") as folder:
        file = Path(folder) / "returns.csv"
        world.write_csv(file)
        print(f"the file: {file.stat().st_size / 2**20:,.0f} MiB of CSV", flush=True)
        floor = world.plain_copy(file) if engine == "PostgreSQL" else world.plain_insert(file)
        stages(world, file)
        world.bring_in(file, floor)
    world.hand_in_and_accept()
    world.seed_accepted(YEAR)
    analyze()
    world.freeze_and_compute()
    world.check_with_workers()


class World:
    """Clusters, units, frame and the people who file; the panel's firms copied as often as it takes."""

    def __init__(self, returns: int):
        from facts.demo.panel import generate

        panel = generate()
        self.entries = panel.returns[PANEL_YEAR]
        self.before = {entry["frame_id"]: entry["answers"] for entry in panel.returns[PANEL_YEAR - 1]}
        self.frame = {row.frame_id: row for row in panel.frame[PANEL_YEAR].itertuples()}
        self.units = {row.frame_id: row for row in panel.units.itertuples()}
        self.panel = panel
        self.copies = max(1, round(returns / len(self.entries)))
        self.returns = self.copies * len(self.entries)
        codes = sorted({entry["cluster"] for entry in self.entries})
        self.clusters = [f"{code}-{copy:03d}" for copy in range(self.copies) for code in codes]

    def build(self) -> None:
        """Everything that a round needs before the first return comes in. Not measured against a floor."""
        from django.contrib.auth import get_user_model
        from django.db import transaction

        from clusters.models import Cluster, ClusterRole, Membership, Organisation, Sector, Unit
        from clusters.seed import load_reference, load_seed
        from core.bulk import allocate_keys, insert_many
        from facts.models import FrameEntry, Round
        from facts.services import instruments
        from facts.services.values import register_indicators
        from observatory.demo import load_context

        with measured("ground: clusters, units, frame", self.returns):
            load_reference()
            load_seed()
            register_indicators()
            load_context(self.panel)
            instrument = instruments.register_instrument("1.0")
            instruments.lookups.cache_clear()
            user = get_user_model().objects.create(username="bench-association")
            self.reviewer = get_user_model().objects.create(username="bench-reviewer")
            association = Organisation.objects.create(slug="bench", name="Association", kind="Association")
            Membership.objects.create(user=user, organisation=association, role="head")
            self.user, today = user, dt.date.today()
            dates = {"opens_on": today - dt.timedelta(days=30), "closes_on": today + dt.timedelta(days=30)}
            self.rounds = {
                year: Round.objects.create(year=year, instrument=instrument, state="open", is_synthetic=True, **dates)
                for year in (YEAR, YEAR - 1)
            }
            seeds = {cluster.code: cluster for cluster in Cluster.objects.placed()}
            sectors = set(Sector.objects.values_list("code", flat=True))
            with transaction.atomic():
                made = []
                for key, code in zip(allocate_keys(Cluster, len(self.clusters)), self.clusters, strict=True):
                    seed = seeds[code.rsplit("-", 1)[0]]
                    made.append(
                        Cluster(
                            pk=key,
                            code=code,
                            name=f"{seed.name} {code[-3:]}",
                            country_id=seed.country_id,
                            region_id=seed.region_id,
                            sector_id=seed.sector_id,
                            is_published=False,
                        )
                    )
                insert_many(made)
                self.cluster_ids = {cluster.code: cluster.pk for cluster in made}
                insert_many(
                    [ClusterRole(cluster=cluster, organisation=association, role="association") for cluster in made]
                )
            for copy in range(self.copies):
                with transaction.atomic():
                    keys = allocate_keys(Unit, len(self.units))
                    units, frame = [], []
                    for key, unit in zip(keys, self.units.values(), strict=True):
                        cluster = self.cluster_ids[f"{unit.cluster}-{copy:03d}"]
                        sector = unit.isic4 if unit.isic4 in sectors else None
                        units.append(
                            Unit(pk=key, frame_id=f"{unit.frame_id}-{copy:03d}", cluster_id=cluster, sector_id=sector)
                        )
                        row = self.frame.get(unit.frame_id)
                        if row is None:
                            continue
                        for round_ in self.rounds.values():
                            frame.append(
                                FrameEntry(
                                    round=round_,
                                    unit_id=key,
                                    cluster_id=cluster,
                                    size=row.size,
                                    prior_employment=row.prior_employment,
                                    in_scope=bool(row.in_scope),
                                )
                            )
                    insert_many(units)
                    insert_many(frame)

    def header(self) -> list[str]:
        from facts.services.instruments import definition

        return ["unit", *definition("1.0").schedule("UNIT").questions]

    def write_csv(self, file: Path) -> None:
        codes = self.header()[1:]
        with file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(self.header())
            rows = [
                (entry["frame_id"], [_cell(entry["answers"].get(code)) for code in codes]) for entry in self.entries
            ]
            for copy in range(self.copies):
                writer.writerows([[f"{frame_id}-{copy:03d}", *cells] for frame_id, cells in rows])

    def plain_copy(self, file: Path) -> float:
        """The floor: the same bytes by COPY into a table of plain text."""
        from django.db import connection

        columns = ", ".join(f'"{code}" text' for code in self.header())
        with connection.cursor() as cursor, file.open(encoding="utf-8") as stream:
            cursor.execute(f"CREATE TABLE bench_plain ({columns})")
            start = time.perf_counter()
            cursor.copy_expert("COPY bench_plain FROM STDIN WITH (FORMAT csv, HEADER true)", stream)
            took = time.perf_counter() - start
            cursor.execute("DROP TABLE bench_plain")
        print(f"{'floor: plain COPY of the file':58}{took:9.1f}{self.returns / took:12,.0f}", flush=True)
        return took

    def plain_insert(self, file: Path) -> float:
        """The floor on SQLite: the same rows by executemany into a table of plain text, in one transaction."""
        import sqlite3

        header = self.header()
        with tempfile.TemporaryDirectory() as folder, file.open(newline="", encoding="utf-8") as stream:
            database = sqlite3.connect(Path(folder) / "floor.sqlite3")
            database.execute(f"CREATE TABLE plain ({', '.join(f'{code} text' for code in header)})")
            reader = csv.reader(stream)
            next(reader)
            start = time.perf_counter()
            with database:
                database.executemany(f"INSERT INTO plain VALUES ({', '.join('?' * len(header))})", reader)
            took = time.perf_counter() - start
            database.close()
        print(f"{'floor: plain INSERT of the file':58}{took:9.1f}{self.returns / took:12,.0f}", flush=True)
        return took

    def bring_in(self, file: Path, floor: float) -> None:
        from facts.models import Return
        from facts.services.imports import save_drafts

        before = now_mib()
        with measured("import: parse, check, seal, store, audit; one transaction", self.returns, floor):
            outcome = save_drafts(
                round_=self.rounds[YEAR],
                schedule_code="UNIT",
                rows=_rows(file),
                by=self.user,
                channel=Return.Channel.FILE,
                keep_failing=True,
                is_synthetic=True,
                keep_returns=False,
            )
        assert outcome.created == self.returns, (outcome.created, [str(found) for found in outcome.refused[:3]])
        print(f"memory grew by {now_mib() - before:,.0f} MiB over {self.returns:,} rows", flush=True)

    def hand_in_and_accept(self) -> None:
        """Cluster by cluster, as associations and agencies do; returns that fail a hard check stay drafts."""
        from facts.models import Return
        from facts.services.drafts import explain
        from facts.services.review import accept
        from facts.services.submission import NotSubmittable, submit

        words = "Confirmed by telephone (invented)."
        taken = self.clusters[: int(os.environ.get("BENCH_HANDED_IN", 240))]
        handed, took = 0, {"submit": 0.0, "accept": 0.0}
        for code in taken:
            drafts = list(
                Return.objects.filter(round=self.rounds[YEAR], cluster=self.cluster_ids[code]).select_related(
                    "round__instrument", "cluster"
                )
            )
            try:
                submit(drafts, by=self.user, certified_name="Invented person")
            except NotSubmittable as refusal:
                problems = refusal.problems
                stuck = {pk for pk, found in problems.items() if any(problem.is_hard for problem in found)}
                drafts = [ret for ret in drafts if ret.pk not in stuck]
                asked = [ret for ret in drafts if ret.pk in problems]
                explain(asked, {ret.pk: {problem.rule: words for problem in problems[ret.pk]} for ret in asked})
            start = time.perf_counter()
            submit(drafts, by=self.user, certified_name="Invented person")
            middle = time.perf_counter()
            accept(drafts, by=self.reviewer, override_reason="Called back (invented).")
            took["submit"] += middle - start
            took["accept"] += time.perf_counter() - middle
            handed += len(drafts)
        for step, seconds in took.items():
            name = f"{step}, cluster by cluster ({len(taken)} clusters)"
            print(f"{name:58}{seconds:9.1f}{handed / seconds:12,.0f}", flush=True)

    def seed_accepted(self, year: int) -> None:
        """Put a round into the state "accepted" without going through review, so that there is much to freeze."""
        from django.db import transaction
        from django.utils import timezone

        from core.bulk import allocate_keys, insert_many
        from facts.vault.store import put_versions

        now = timezone.now()
        of_year = {e["frame_id"]: e["answers"] for e in self.entries} if year == YEAR else self.before
        with measured(f"ground: accepted returns of round {year} (seeded)", len(of_year) * self.copies):
            for copy in range(self.copies):
                with transaction.atomic():
                    self._seed(year, copy, of_year, now, allocate_keys, insert_many, put_versions)

    def _seed(self, year, copy, of_year, now, allocate_keys, insert_many, put_versions) -> None:
        from clusters.models import Unit
        from facts.models import Return

        names = {f"{frame_id}-{copy:03d}": frame_id for frame_id in of_year}
        there = dict(Return.objects.filter(round=self.rounds[year], subject__in=names).values_list("subject", "pk"))
        units = Unit.objects.filter(frame_id__in=names).values_list("frame_id", "pk", "cluster_id")
        new = [row for row in units if row[0] not in there]
        rows = [
            Return(
                pk=key,
                round=self.rounds[year],
                schedule="UNIT",
                subject=subject,
                unit_id=unit,
                cluster_id=cluster,
                state="accepted",
                version=1,
                revision=1,
                submitted_at=now,
                first_submitted_at=now,
                submitted_by=self.user,
                is_synthetic=True,
            )
            for key, (subject, unit, cluster) in zip(allocate_keys(Return, len(new)), new, strict=True)
        ]
        insert_many(rows)
        put_versions({(ret.pk, 1): _payload(of_year[names[ret.subject]]) for ret in rows})
        drafts = Return.objects.filter(pk__in=there.values(), state="draft")
        put_versions({(pk, 1): _payload(of_year[names[name]]) for name, pk in drafts.values_list("subject", "pk")})
        drafts.update(state="accepted", version=1, submitted_at=now, first_submitted_at=now, submitted_by=self.user)

    def freeze_and_compute(self) -> None:
        """Accepted returns → sealed snapshot → 65 indicators; floor: a columnar group-by of the same columns."""
        from cci.methodology import load_method
        from facts.indicators.compute import compute_round
        from facts.services.snapshots import read_snapshot, take_snapshot

        with measured("snapshot: open, lay in columns, digest, seal", 2 * self.returns):
            snapshot = take_snapshot(self.rounds[YEAR], by=None)
        with measured("snapshot read back and its digest verified", 2 * self.returns):
            tables = read_snapshot(snapshot)
        numeric = tables.units.select_dtypes("number").columns.difference(["round"])
        start = time.perf_counter()
        now = tables.units[tables.units["round"] == YEAR]
        now.groupby("cluster")[list(numeric)].agg(["sum", "mean"])
        floor = time.perf_counter() - start
        with measured("65 indicators; floor: group-by sum and mean of the columns", self.returns, floor):
            compute_round(tables, YEAR, load_method("1.0").definitions)

    def check_with_workers(self) -> None:
        """X01–X10 and the cluster checks, a job for each cluster, with 1, 2 and 4 real workers; then all of them."""
        from django.db import transaction

        from core.jobs.models import Job
        from facts.models import Round
        from facts.services.checking import check_round, request_check

        round_ = Round.objects.get(year=YEAR)
        share = min(len(self.clusters) // 4, 120)
        print(f"\nchecks X01–X30, a job a cluster; this machine has {os.cpu_count()} cores", flush=True)
        alone = 0.0
        for place, many in enumerate((1, 2, 4)):
            codes = self.clusters[place * share : (place + 1) * share]
            with workers(many):
                request_check(round_, self.cluster_ids[self.clusters[-1 - place]])  # wakes them; not counted
                wait_until(lambda: not Job.objects.filter(state__in=["queued", "running"]).exists())
                start = time.perf_counter()
                with transaction.atomic():
                    jobs = [request_check(round_, self.cluster_ids[code]).pk for code in codes]
                wait_until(lambda jobs=jobs: Job.objects.filter(pk__in=jobs, state="done").count() == len(jobs))
                took = time.perf_counter() - start
            alone = alone or took
            rows = share * self.returns / len(self.clusters)
            name = f"{many} worker{'s' if many > 1 else ''}: {share} clusters"
            print(f"{name:58}{took:9.1f}{rows / took:12,.0f}     gain {alone / took:.2f}", flush=True)
        if len(self.clusters) > WHOLE_ROUND_MAX:
            return  # hours on two cores; the rate above says how many
        with workers(2):
            start = time.perf_counter()
            job = check_round(round_)
            wait_until(lambda: Job.objects.get(pk=job.pk).state == "done", 7200)
            took = time.perf_counter() - start
        name = f"the whole round, 2 workers: {len(self.clusters):,} clusters"
        print(f"{name:58}{took:9.1f}{self.returns / took:12,.0f}", flush=True)


@contextmanager
def workers(many: int) -> Iterator[None]:
    """Real Celery workers on this stand's broker."""
    command = [str(Path(sys.executable).parent / "celery"), "--app", "observatory", "worker", "--pool", "solo"]
    command += ["--loglevel", "ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    started = [
        subprocess.Popen(
            [*command, "--hostname", f"bench{number}@%h"],
            cwd=Path(__file__).resolve().parents[1],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for number in range(many)
    ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)


def wait_until(holds, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("The workers did not finish.")
        threading.Event().wait(0.05)


def analyze() -> None:
    """Let the planner know the tables, as the database does by itself in the weeks between frame and returns."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def stages(world: World, file: Path) -> None:
    """What a row costs, stage by stage, on one core."""
    from itertools import islice

    from facts.services.instruments import definition, lookups
    from facts.validation import Context, examine, read_answers
    from facts.vault.store import canonical, keyed_digest, seal

    part, many = definition("1.0").schedule("UNIT"), min(20_000, world.returns)
    with measured("  of which parsing the CSV", many):
        rows = list(islice(_rows(file), many))
    known = lookups()
    with measured("  of which reading the answers", many):
        read = [read_answers(part, row.raw, lookups=known) for row in rows]
    context = Context(ref_year=YEAR - 1, today=dt.date.today(), lookups=known)
    with measured("  of which all checks of the schedule", many):
        for one in read:
            examine(part, one.answers, one.markers, context)
    with measured("  of which sealing (AES-256-GCM) and digest", many):
        for number, one in enumerate(read):
            content = canonical({"answers": one.answers, "markers": one.markers})
            seal(content, f"answers:{number}:0")
            keyed_digest(content)


def _payload(answers: dict) -> dict:
    markers = {code: value for code, value in answers.items() if value in ("DK", "REF")}
    values = {code: value for code, value in answers.items() if code not in markers}
    return {"answers": values, "markers": markers, "explanations": {}, "confirmed": []}


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ";".join(value)
    return str(value)


def _rows(file: Path):
    from facts.services.imports import Row

    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        header = next(reader)[1:]
        for number, (subject, *cells) in enumerate(reader, start=2):
            yield Row(subject, {code: cell for code, cell in zip(header, cells, strict=True) if cell}, f"row {number}")


if __name__ == "__main__":
    run()
