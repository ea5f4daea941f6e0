"""The style guide: every component with its documented inputs, every figure, every token."""

import datetime as dt
import json

from django.conf import settings
from django.core.paginator import Paginator
from django.views.generic import TemplateView

from core.policy.views import PolicyMixin
from observatory import figures
from observatory.templatetags.observatory import BADGES

# Invented, and marked so on the page: (name, low, nominal, high, score, change, beyond the noise, pillars)
BANDS = [
    (
        "A",
        "apart from all below on more than nine draws of ten",
        [
            ("Metal parts, Tokyo", 1, 1, 1, 82, 1, False, (84, 78, 80, 88, 62)),
            ("Shoes, Wenzhou", 2, 2, 5, 71, 4, True, (79, 70, 55, 57, 48)),
        ],
    ),
    (
        "B",
        "their order among themselves is not settled",
        [
            ("Surgical instruments, Sialkot", 5, 6, 8, 62, 3, True, (70, 58, 61, 52, None)),
            ("Electric fans, Gujrat", 6, 9, 12, 51, -5, True, (55, 49, 47, 50, 40)),
        ],
    ),
]
VALUES = [
    ("Surgical instruments, Sialkot", 62),
    ("Electric fans, Gujrat", 51),
    ("Cutlery, Wazirabad", 44),
    ("Shoes, Wenzhou", 71),
    ("Metal parts, Tokyo", 82),
    ("Knitwear, Tiruppur", 66),
    ("Leather, Korangi", 39),
    ("Garments, Lahore", 47.5),
    ("Ceramics, Khurja", 44),
    ("Brass, Moradabad", 46),
    ("Handloom, Sirajganj", None),
]
SUBJECT = "Surgical instruments, Sialkot"
POINTS = [
    ("PK-SUR-SKT", "Surgical instruments, Sialkot", 74.54, 32.49, 4, "Sialkot"),
    ("JP-MAN-TYO", "Metal parts, Tokyo", 139.36, 35.66, 4, "Tokyo"),
    ("CN-SHO-WNZ", "Shoes, Wenzhou", 120.7, 28.0, 5, "Wenzhou"),
    ("IN-KNI-TIR", "Knitwear, Tiruppur", 77.34, 11.1, 5, "Tiruppur"),
    ("ID-FUR-JEP", "Furniture, Jepara", 110.67, -6.59, 3, "Jepara"),
    ("PK-FAN-GUJ", "Electric fans, Gujrat", 74.08, 32.57, 2, ""),
    ("PK-CUT-WAZ", "Cutlery, Wazirabad", 74.12, 32.44, 2, ""),
    ("PK-RMG-LHE", "Ready-made garments, Lahore", 74.32, 31.46, 3, ""),
    ("PK-LEA-KHI", "Leather, Korangi", 67.13, 24.84, 3, "Korangi"),
    ("VN-CER-BAT", "Ceramics, Bat Trang", 105.91, 20.98, 1, "Bat Trang"),
]
TREND = [
    ("Sialkot", [(2020, 52), (2021, 51), (2022, None), (2023, 57), (2024, 59), (2025, 62)]),
    ("Gujrat", [(2020, 55), (2021, 56), (2022, 57), (2023, 56), (2024, 56), (2025, 51)]),
    ("Peers", [(2020, 48), (2021, 48.5), (2022, 49), (2023, 49), (2024, 50), (2025, 50)]),
]
EDITIONS = [
    ("Sialkot", 59, 62),
    ("Gujrat", 56, 51),
    ("Wazirabad", 44, 44),
    ("Lahore", 45, 47),
    ("Tiruppur", None, 66),
]
INTERVALS = [(name, value, value - 6, value + 4) for name, value in VALUES[:5] if value is not None]


def draw_map() -> figures.SVG:
    basemap = settings.BASE_DIR / "fixtures" / "basemap" / "asia.json"
    land = json.loads(basemap.read_text()) if basemap.exists() else {}
    points = [
        {
            "code": code,
            "name": name,
            "longitude": longitude,
            "latitude": latitude,
            "size": size,
            "label": label,
            "href": f"/clusters/{code}/",
        }
        for code, name, longitude, latitude, size, label in POINTS
    ]
    return figures.region_map(
        land.get("shapes", []),
        points,
        land.get("window", (58, -12, 150, 56)),
        lines=land.get("lines", []),
        unassigned=land.get("unassigned", []),
        title="Clusters of the style guide",
    )


class StyleGuide(PolicyMixin, TemplateView):
    """Each component once, with what it was given."""

    action = "site.read"
    template_name = "style_guide.html"

    def get_context_data(self, **kwargs):
        pages = Paginator(range(240), 20)
        return super().get_context_data(
            **kwargs,
            bands=BANDS,
            badges=list(BADGES),
            subject=SUBJECT,
            page_of_twelve=pages.page(4),
            today=dt.date(2025, 10, 12),
            svg={
                "strip": figures.dot_strip(VALUES, SUBJECT, unit="points", better="high", title="Score over clusters"),
                "bars": figures.bar_list(VALUES[:6], subject=SUBJECT, median=51, most=100, title="Score, by cluster"),
                "intervals": figures.interval_list(INTERVALS, subject=SUBJECT, median=51),
                "slope": figures.slope(EDITIONS, "2024", "2025", subject="Sialkot"),
                "line": figures.line(TREND, subject="Sialkot", title="Score since 2020"),
                "map": draw_map(),
            },
            figure_columns=[{"label": "Cluster"}, {"label": "Score", "numeric": True}],
            figure_rows=VALUES,
            **components(),
        )


def components() -> dict:
    """Inputs of the components that take lists."""
    return {
        "trail": [{"label": "Home", "href": "/"}, {"label": "Clusters", "href": "/clusters/"}],
        "tabs": [
            {"label": "List", "href": "?view=list", "current": True, "count": 32},
            {"label": "Map", "href": "?view=map"},
            {"label": "Table", "href": "?view=table"},
        ],
        "filters": [
            {"name": "q", "label": "Name, product or place", "wide": True},
            {
                "name": "country",
                "label": "Country",
                "options": [("PK", "Pakistan"), ("IN", "India")],
                "value": "PK",
            },
            {
                "name": "sector",
                "label": "Sector",
                "options": [("15", "Leather"), ("32", "Other manufacturing")],
            },
        ],
        "facts_of_cluster": [
            {"term": "Place", "value": "Sialkot, Punjab", "note": "stated by the source"},
            {"term": "Lead agency", "value": "Punjab Small Industries Corporation", "href": "/agencies/"},
            {"term": "Founding year", "value": None},
        ],
        "steps": [
            {"label": "Draft", "state": "done", "note": "3 September"},
            {"label": "Submitted", "state": "done", "note": "28 September"},
            {"label": "In review", "state": "current", "note": "since 2 October"},
            {"label": "Accepted", "state": "todo"},
        ],
        "events": [
            {
                "when": dt.date(2024, 3, 1),
                "title": "Common facility centre approved",
                "by": "Ministry of Industries",
            },
            {
                "when": dt.date(2025, 6, 30),
                "title": "First tranche paid",
                "text": "40 million PKR of 120 million.",
            },
            {"when": "spring 2026", "title": "Machines in place", "ahead": True},
        ],
        "errors": [
            {"id": "id_UB01", "message": "Workers: must not be less than the women among them (124 < 130)."},
            {"id": "id_ownership", "message": "Ownership: choose one."},
        ],
        "markers": [("DK", "not available"), ("REF", "will not say"), ("NA", "does not apply")],
        "ownership": [("1", "Sole owner"), ("2", "Partnership"), ("3", "Company")],
        "downloads": [{"label": "CSV", "href": "#csv"}, {"label": "XLSX", "href": "#xlsx"}],
        "pillar_names": [(f"fig-p{i}", name) for i, name in enumerate(figures.PILLARS, 1)],
        "sequence": [f"seq-{i}" for i in range(1, 6)],
    }
