"""Canaries: figures and words that stand nowhere else, planted where firms write, and found in any spelling."""

import html
import io
import json
import random
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.db.models import BinaryField

from facts.models import FrameEntry, Return
from facts.services.drafts import explain
from facts.services.imports import Row, save_drafts
from facts.services.queries import answer
from facts.services.uploads import receive
from facts.wording import grouped
from tests.factories import UnitFactory
from tests.facts.valid_returns import RETURNS

from .walk_rights import COLLECTIVE, TYPED
from .walk_world import WalkWorld

MORE_DRAFTS = 32  # unit drafts besides the world's, in each town
# Where a figure of seven digits and more may be moved a little without a check speaking, by schedule.
MONEY = {
    "UNIT": ("UB09", "UC01", "UC02", "UD01", "UD07", "UE01", "UF02"),
    "ASSOCIATION": ("AF03", "AF04"),
    "CLUSTER": ("CV01", "CV02"),
    "REGION": ("RB03", "RB04"),
}
# Texts carry a mark that no grammar, digest or class name has; with characters that must be escaped around it.
MARK = re.compile(r"zq[0-9]{9}qz", re.IGNORECASE)
NUMBER = re.compile(r"[0-9][0-9.,\u00a0\u202f\u2009' ]*[0-9]")


@dataclass(frozen=True)
class Owner:
    """Whose canary it is: the record it was planted in, and as what."""

    label: str  # "a.review"
    what: str  # answer, identity, query, words


class Aviary:
    """All canaries of a world, and where each was planted. Seeded."""

    def __init__(self, seed: int = 7):
        self.chance = random.Random(seed)
        self.owners: dict[str, Owner] = {}  # the bare spelling → owner
        self.spellings: dict[str, str] = {}  # every spelling without its separators → the bare one
        self.used: set[int] = set()

    def figure(self, near: int, owner: Owner) -> int:
        """A number within half a per cent of `near`, used nowhere else, its digits not round."""
        while True:
            value = near + self.chance.randrange(1, max(near // 200, 10_000))
            if value not in self.used and value % 10 and str(value) not in self.spellings:
                break
        self.used.add(value)
        bare = str(value)
        self.owners[bare] = owner
        for divisor in (1, 1_000, 100_000, 10_000_000):  # as typed, thousands, lakh, crore
            whole, rest = divmod(value, divisor)
            tail = str(rest).rjust(len(str(divisor)) - 1, "0").rstrip("0") if divisor > 1 else ""
            self.spellings[f"{whole}.{tail}" if tail else str(whole)] = bare
        return value

    def words(self, owner: Owner) -> str:
        mark = f"zq{self.chance.randrange(10**8, 10**9)}qz"
        self.owners[mark] = owner
        return f'O\'Neil <&"{mark}"> Mills'

    def found_in(self, text: str) -> set[str]:
        """The bare spelling of every canary in a text: plain, grouped in any way, in thousands, lakh or crore."""
        found = {mark.lower() for mark in MARK.findall(text)} & self.owners.keys()
        for token in NUMBER.findall(text):
            # A run of figures may be a list: its parts are looked at as well as the whole.
            for part in {token, *re.split(r"[\s\u00a0\u202f\u2009']", token)}:
                bare = re.sub(r"[^0-9.]", "", part)
                for spelling in {bare, bare.rstrip("0") if "." in bare else bare}:
                    if spelling in self.spellings:
                        found.add(self.spellings[spelling])
            for run in re.findall(r"[0-9]{7,}", token):
                if run in self.spellings:
                    found.add(self.spellings[run])
        return found


def spellings_of(value: int) -> list[str]:
    """The eight ways in which a figure could leave: for the proof that the search knows them all."""
    return [
        str(value),
        f"{value:,}",
        grouped(value),
        f"{value / 1_000:,.3f} thousand",
        f"{value / 100_000} lakh",
        f"{value / 10_000_000} crore",
        html.escape(f"“{value:,}”"),
        json.dumps({"x": value}),
    ]


def text_of(content: bytes, content_type: str) -> str:
    """Everything readable in an answer or a file: markup as it stands and unescaped, sheets and papers unpacked."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            return "\n".join(text_of(parts.read(name), "") for name in parts.namelist())
    if content[:5] == b"%PDF-":
        import pypdf

        pages = pypdf.PdfReader(io.BytesIO(content))
        return "\n".join([*(page.extract_text() for page in pages.pages), str(pages.metadata)])
    text = content.decode("utf-8", "replace")
    return text + "\n" + html.unescape(text) if "&" in text else text


def raw_text_of(content: bytes) -> str:
    """A file on disk as it lies there, and unpacked where it is packed."""
    found = content.decode("latin-1")
    for wbits in (15, -15, 31):
        try:
            found += zlib.decompress(content, wbits).decode("latin-1")
        except zlib.error:
            continue
    return found


class CanaryWorld(WalkWorld):
    """The world of the walks with a canary in everything that a firm writes."""

    def __init__(self):
        self.aviary = Aviary()
        super().__init__(values=self._values, identity=self._identity)
        for tenant, town in self.towns.items():
            self._more(tenant, town)

    def _values(self, tenant: str, label: str, schedule: str) -> dict:
        owner = Owner(f"{tenant}.{label}", "answer")
        planted = {code: self.aviary.figure(RETURNS[schedule][code], owner) for code in MONEY[schedule]}
        return {**RETURNS[schedule], **planted}

    def _identity(self, tenant: str, label: str) -> dict:
        owner = Owner(f"{tenant}.{label}", "identity")
        return {
            "name": self.aviary.words(owner),
            "address": self.aviary.words(owner),
            "telephone": str(self.aviary.figure(3_001_000_000, owner)),
            "registration_number": str(self.aviary.figure(61_000_000, owner)),
        }

    def _more(self, tenant: str, town) -> None:
        """Drafts, explanations, a query with its answer, a file on its way in."""
        units = [UnitFactory(cluster=town.cluster) for _ in range(MORE_DRAFTS)]
        FrameEntry.objects.bulk_create(
            FrameEntry(round=town.round, unit=unit, cluster=town.cluster, size=1, prior_employment=5) for unit in units
        )
        rows = [
            Row(unit.frame_id, self._values(tenant, "draft", "UNIT"), f"row {number}")
            for number, unit in enumerate(units)
        ]
        outcome = save_drafts(
            round_=town.round, schedule_code="UNIT", rows=rows, by=town.entry, channel="file", keep_failing=True
        )
        assert not outcome.refused, [str(one) for one in outcome.refused]
        draft = Return.objects.get(pk=self.objects["return"][f"{tenant}.draft"].pk)
        explain([draft], {draft.pk: {"UJ02-S1": self.aviary.words(Owner(f"{tenant}.draft", "answer"))}})
        query = self.objects["query"][f"{tenant}.review"]
        query.refresh_from_db()
        answer(query, by=town.head, text=self.aviary.words(Owner(f"{tenant}.review", "query")))
        line = f"unit,UC01\n{draft.subject},{self.aviary.figure(9_000_000, Owner(f'{tenant}.upload', 'answer'))}\n"
        self.add("upload", f"{tenant}.file", receive(line.encode(), "b.csv", round_=town.round, scale=1, by=town.entry))


def entitled(owner: Owner, code: str, tenant: str) -> bool:
    """Whether the design lets a role of a tenant read a canary: the rows on values, names and queries."""
    side, _, label = owner.label.partition(".")
    mine = side == tenant
    own = mine and label in TYPED
    if owner.what == "identity":
        return mine and code in ("AE", "AH", "UL") and (label == "linked" or code != "UL") and label != "sealed"
    if owner.what == "query":
        return (mine and code in ("AE", "AH", "SU")) or code == "AL"
    if label in COLLECTIVE:
        return (mine and code in ("AE", "AH", "ST", "SU")) or code in ("AL", "AU")
    if label in ("upload", "file"):
        return mine and code == "AE"
    return {
        "AE": own or (mine and label == "shared"),
        "AH": own or (mine and label == "shared"),
        "UL": mine and label == "linked",
        "SU": mine and label in ("review", "sealed", "shared"),
        "AL": label in ("review", "sealed", "shared", "accepted"),
    }.get(code, False)


def rows_outside_the_vault() -> Iterable[tuple[str, str]]:
    """`table.column` and text of every cell that the database holds readable; sealed payloads as bytes, too."""
    for model in apps.get_models(include_auto_created=True):
        for column in model._meta.concrete_fields:
            place = f"{model._meta.db_table}.{column.column}"
            for (cell,) in model._base_manager.order_by().values_list(column.attname):
                if cell is None or cell == "":
                    continue
                if isinstance(column, BinaryField):
                    yield place, raw_text_of(bytes(cell))
                else:
                    yield place, json.dumps(cell, ensure_ascii=False) if isinstance(cell, dict | list) else str(cell)
