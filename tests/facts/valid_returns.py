"""One sound return for each schedule, as plain data: every question is answered and no check speaks.

Invented. `CONTEXT` is what the checks of these returns see; last round's answers make the comparisons
with last round work.
"""

from datetime import date
from pathlib import Path
from typing import Any

from facts.instrument import load_instrument
from facts.validation import Context, Lookups

FOLDER = Path(__file__).parents[2] / "fixtures" / "instruments" / "facts-1.0"
INSTRUMENT = load_instrument(FOLDER)

UNIT = {
    "UA01": 1,
    "UA02": 12,
    "UA03": 2004,
    "UA04": 2,
    "UA05": "1410",
    "UA06": 4,
    "UA07": 0,
    "UB01": 20,
    "UB02": 12,
    "UB03": 8,
    "UB04": 2,
    "UB05": 13,
    "UB06": 5,
    "UB07": 4,
    "UB08": 30,
    "UB09": 2_400_000,
    "UC01": 9_000_000,
    "UC02": 1_000_000,
    "UC03": 500_000,
    "UC04": 40,
    "UC05": 10,
    "UC06": 100_000,
    "UD01": 3_600_000,
    "UD02": 55,
    "UD03": 30_000,
    "UD04": 300_000,
    "UD05": 400_000,
    "UD06": 800_000,
    "UD07": 7_500_000,
    "UE01": 5_000_000,
    "UE02": 600_000,
    "UE03": 3,
    "UE04": 75,
    "UE05": 12.5,
    "UE06": 4,
    "UF01": 3,
    "UF02": 1_500_000,
    "UF03": 12.5,
    "UG01": 90_000,
    "UG02": ["proc", "prod"],
    "UG03": 1,
    "UG04": ["iso9001"],
    "UG05": ["acc", "phone"],
    "UG06": 3,
    "UH01": 1,
    "UH02": ["buy", "fac"],
    "UH03": 0,
    "UH04": ["none"],
    "UH05": 4,
    "UJ01": "power",
    "UJ02": 2,
    "UJ03": 1,
}

CLUSTER = {
    "CA01": "Chikankari embroidery of Lucknow",
    "CA02": "1410",
    "CA03": ["1312", "1420", "1430"],
    "CA04": ["6204", "6206"],
    "CA05": "IN-UP",
    "CA06": "Lucknow",
    "CA07": 26.8467,
    "CA08": 80.9462,
    "CA09": 12,
    "CA10": 1800,
    "CA11": "craft",
    "CA12": 3,
    "CB01": 150,
    "CB02": 55,
    "CB03": 14,
    "CB04": 1,
    "CB05": 12,
    "CB06": 6,
    "CB07": 90_000,
    "CB08": 5_000_000,
    "CB09": 42_000_000_000,
    "CH01": 20,
    "CH02": 8.5,
    "CH03": 3,
    "CH04": 2,
    "CH05": 48,
    "CH06": ["cfc", "design", "lab"],
    "CH07": ["cfc"],
    "CH08": 1,
    "CH09": 4,
    "CH10": 105,
    "CH11": 3,
    "CS01": 2,
    "CS02": 4,
    "CS03": 250,
    "CS04": 3,
    "CS05": 2,
    "CS06": 2,
    "CS07": 1,
    "CV01": 21_000_000,
    "CV02": 6_500_000,
    "CV03": 180,
}

ASSOCIATION = {
    "AA01": 1,
    "AA02": 1998,
    "AA03": 1,
    "AA04": "2024-02-10",
    "AA05": 15,
    "AA06": 4,
    "AA07": 8,
    "AA08": "2024-11-20",
    "AA09": 70,
    "AB01": 120,
    "AB02": 100,
    "AB03": 5,
    "AC01": 3.5,
    "AC02": 1,
    "AC03": 10,
    "AD01": 600_000,
    "AD02": 900_000,
    "AD03": 500_000,
    "AD04": 2_000_000,
    "AD05": 1_900_000,
    "AD06": 2,
    "AE01": 2,
    "AE02": "2022-06-30",
    "AE03": 1,
    "AE04": 1,
    "AE05": 1,
    "AE06": 7.5,
    "AF01": ["fair", "train"],
    "AF02": 60,
    "AF03": 3_000_000,
    "AF04": 1_000_000,
    "AF05": 140,
    "AF06": 35,
    "AF07": 4,
    "AF08": 2,
    "AG01": 1,
    "AG02": 2,
    "AG03": 40,
    "AG04": 1,
}

REGION = {
    "RA01": 21,
    "RA02": 90,
    "RA03": 30,
    "RA04": 72,
    "RA05": 450,
    "RA06": 1200,
    "RA07": 260,
    "RA08": 3,
    "RB01": ["cap", "clus"],
    "RB02": ["ipfee"],
    "RB03": 900_000_000,
    "RB04": 700_000_000,
    "RB05": 2,
    "RB06": 1,
    "RC01": 60_000_000,
    "RC02": 560_000_000,
    "RC03": 10_000,
}

RETURNS: dict[str, dict[str, Any]] = {
    "UNIT": UNIT,
    "CLUSTER": CLUSTER,
    "ASSOCIATION": ASSOCIATION,
    "REGION": REGION,
}

PREVIOUS: dict[str, dict[str, Any]] = {
    "UNIT": UNIT | {"UB01": 18, "UE01": 4_800_000, "UG02": ["none"]},
    "CLUSTER": CLUSTER | {"CB01": 146, "CB02": 53},
    "ASSOCIATION": ASSOCIATION,
    "REGION": REGION | {"RC03": 9_500},
}

# What each schedule's checks see of the others.
VALUES: dict[str, dict[str, Any]] = {
    "UNIT": {"RC03": 10_000, "CH02": 8.5, "cluster_isic": ["1410", "1312"]},
    "CLUSTER": {"RC01": 60_000_000, "RC02": 560_000_000, "frame_count": 220},
    "ASSOCIATION": {"frame_count": 220, "uh01_share": 0.5},
    "REGION": {},
}

LOOKUPS = Lookups(
    isic4={
        "1312": "Weaving of textiles",
        "1410": "Manufacture of wearing apparel, except fur apparel",
        "1420": "Manufacture of articles of fur",
        "1430": "Manufacture of knitted and crocheted apparel",
        "2593": "Manufacture of cutlery, hand tools and general hardware",
    },
    hs4={"6204": "Suits, women's", "6206": "Blouses, women's", "0101": "Horses"},
    regions={"IN-UP": ("Uttar Pradesh", 27.13, 80.86), "PK-PB": ("Punjab", 30.81, 72.56)},
    is_unique=lambda name: name != "Taken nameIN-UP",
)


def context(schedule: str, *, prev: dict[str, Any] | None = None, values: dict[str, Any] | None = None) -> Context:
    """The context of a sound return, with changes."""
    before = PREVIOUS[schedule] | (prev or {})
    return Context(
        prev=before,
        shown_prev=before,
        ref_year=2024,
        fy_end=date(2025, 3, 31),
        today=date(2025, 6, 15),
        values=VALUES[schedule] | (values or {}),
        lookups=LOOKUPS,
    )
