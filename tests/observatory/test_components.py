"""Every component renders with the inputs it documents; nothing inline, nothing foreign, nothing heavy."""

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import engines
from django.template.loader import render_to_string
from django.test import RequestFactory
from django.utils import timezone

from observatory import style_guide
from observatory.templatetags import observatory as tags

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<b onclick=x>&"
PAGES = Paginator(range(240), 20)
COLUMNS = [{"label": "Cluster"}, {"label": "Score", "numeric": True}]


class SignInForm(forms.Form):
    name = forms.CharField(help_text="As on your card.")
    kind = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)
    agree = forms.BooleanField(required=False)


INPUTS = {
    "badge": {"state": "in_review", "label": HOSTILE},
    "borders": {},
    "bound_field": {"field": SignInForm({})["name"], "unit": "kg", "wide": True},
    "breadcrumb": {"trail": [{"label": HOSTILE, "href": "/"}], "here": "Here"},
    "buttons": {"primary": "Save", "secondary": "Later", "cancel_href": "/"},
    "callout": {"text": HOSTILE, "title": "T", "tone": "warn", "href": "/", "link": "more"},
    "change": {"value": 3.2, "beyond_noise": True, "unit": "points", "since": "2024"},
    "completeness": {"done": 2, "total": 5},
    "definitions": {"items": [{"term": HOSTILE, "value": None}, {"term": "b", "value": 2, "href": "/"}]},
    "empty_state": {"title": "Nothing", "text": HOSTILE, "action_href": "/", "action_label": "Go"},
    "error_summary": {"errors": [{"id": "id_a", "message": HOSTILE}, {"message": "whole"}]},
    "field": {
        "name": "UB01",
        "label": HOSTILE,
        "type": "number",
        "value": 1234,
        "unit": "persons",
        "hint": "h",
    },
    "figure": {"title": HOSTILE, "line": "%", "svg": "", "columns": COLUMNS, "rows": [["a", 1]], "map": True},
    "file_upload": {"name": "sheet", "label": "Sheet", "accept": ".csv", "hint": "h", "error": HOSTILE},
    "filter_bar": {
        "fields": [
            {"name": "q", "label": HOSTILE},
            {"name": "c", "label": "C", "options": [(1000, "k")], "value": 1000},
        ],
        "count": 1200,
        "words": "in Pakistan",
    },
    "history": {
        "items": [
            {"when": dt.date(2025, 1, 2), "title": HOSTILE},
            {"when": "later", "title": "b", "ahead": True},
        ]
    },
    "interval": {"low": 5, "nominal": 6, "high": 8, "n": 14},
    "page_end": {
        "citation": HOSTILE,
        "downloads": [{"label": "CSV", "href": "/x"}],
        "contact_email": "a@example.org",
    },
    "pagination": {"page": PAGES.page(4)},
    "pillars": {"values": [1, 2, None, 4, 5]},
    "progress": {"label": "Computing", "percent": 42.5, "stage": HOSTILE, "url": "/jobs/1/"},
    "source_note": {"source": HOSTILE, "year": 2006, "updated": dt.date(2025, 1, 1), "synthetic": True},
    "stat": {"label": HOSTILE, "value": "62", "unit": "of 100", "note": "n", "change": "+3"},
    "steps": {"items": [{"label": HOSTILE, "state": "done"}, {"label": "b", "state": "current", "note": "n"}]},
    "synthetic_mark": {"short": True},
    "table": {"caption": HOSTILE, "columns": COLUMNS, "rows": [["a", 1], ["b", None]], "stack": True},
    "tabs": {"label": "Views", "items": [{"label": HOSTILE, "href": "?a", "current": True, "count": 3}]},
    "value": {"value": "3", "unit": "%", "status": "provisional"},
}


def component(name, /, **inputs):
    request = RequestFactory().get("/", {"country": "PK"})
    return " ".join(render_to_string(f"components/{name}.html", inputs, request=request).split())


def fragment(source, **context):
    return engines["django"].from_string(source).render(context)


class Balance(HTMLParser):
    """Every element opened is closed in order."""

    VOID = {"input", "br", "hr", "img", "meta", "link", "rect", "path", "line", "circle"}

    def __init__(self):
        super().__init__()
        self.open, self.ids = [], []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another element"


def balance(html):
    parser = Balance()
    parser.feed(html)
    assert not parser.open, f"left open: {parser.open}"
    assert len(parser.ids) == len(set(parser.ids)), "an id stands twice"


def test_every_component_is_tried_here():
    assert {path.stem for path in (ROOT / "templates/components").glob("*.html")} == set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
def test_component_renders_whole_and_escaped(name):
    html = component(name, **INPUTS[name])

    balance(html)
    assert "<b onclick" not in html
    assert html


@pytest.mark.parametrize("name", INPUTS)
def test_component_documents_its_inputs(name):
    source = (ROOT / f"templates/components/{name}.html").read_text()
    words = source.split("{% endcomment %}")[0]

    assert source.startswith("{% comment %}") and f"components/{name}.html" in words
    assert all(re.search(rf"\b{key}\b", words) for key in INPUTS[name]), "an input is not documented"


@pytest.mark.parametrize("name", sorted(set(INPUTS) - {"bound_field", "pagination", "completeness"}))
def test_component_survives_without_its_optional_inputs(name):
    needed = {"name": "Q", "label": "Question"} if name in ("field", "file_upload") else {}
    component(name, **needed)


@pytest.mark.parametrize("kind", ["text", "number", "textarea", "select", "radio", "checkboxes", "yesno", "date"])
def test_field_of_each_kind_is_labelled_and_tells_its_error(kind):
    options = [(1, "One"), (2000, "Two")]
    html = component(
        "field",
        name="Q",
        label="Question",
        type=kind,
        options=options,
        hint="h",
        error="wrong",
        unit="kg",
        previous="3",
        change="+2 %",
        markers=[("DK", "not available")],
        marker="DK",
        required=True,
    )

    balance(html)
    assert 'id="id_Q"' in html and 'id="id_Q_error"' in html and "id_Q_hint" in html
    assert 'value="2,000"' not in html
    assert 'name="marker:Q"' in html and 'value="DK" selected' in html
    assert "last year" in html


def test_field_keeps_zero_and_marks_choices():
    assert 'value="0"' in component("field", name="Q", label="Q", type="number", value=0)
    assert 'value="0" checked' in component("field", name="Q", label="Q", type="yesno", value=0)
    assert "checked" not in component("field", name="Q", label="Q", type="yesno", value=None)
    chosen = component("field", name="Q", label="Q", type="checkboxes", options=[("a", "A"), ("b", "B")], values=["b"])
    assert 'value="b" checked' in chosen and chosen.count("checked") == 1


def test_bound_field_of_each_widget_and_summary_of_its_form():
    form = SignInForm({"name": ""})
    for field in form:
        balance(component("bound_field", field=field))
    html = component("error_summary", form=form)

    assert 'href="#id_name"' in html and "data-focus" in html and 'tabindex="-1"' in html
    assert component("error_summary", form=SignInForm({"name": "a", "kind": "a"})) == ""


def test_what_is_absent_says_why():
    assert "not reported" in component("stat", label="Exports", value=None)
    assert "withheld: too few firms" in component("value", value=None, status="withheld")
    assert "not ranked: no association" in component("value", value=None, status="ineligible", reason="no association")
    assert "not ranked" in component("interval", low=None, nominal=None, high=None, n=3)
    assert "inside the noise" in component("change", value=1, beyond_noise=False)
    assert "not reported" in component("table", caption="c", columns=COLUMNS, rows=[["a", None]])


def test_stat_keeps_zero():
    assert "not reported" not in component("stat", label="Deaths", value=0)


def test_badges_say_their_state_in_a_word():
    for state, (word, *_) in tags.BADGES.items():
        assert word in component("badge", state=state)
    assert "Of a new kind" in component("badge", state="of_a_new_kind")


def test_pagination_keeps_the_filters():
    html = component("pagination", page=PAGES.page(4))

    assert "country=PK" in html and "page=5" in html and "61–80 of 240" in html
    assert component("pagination", page=Paginator([], 20).page(1)) == ""
    assert tags.page_numbers(PAGES.page(6)) == [1, None, 5, 6, 7, None, 12]
    assert tags.page_numbers(PAGES.page(3)) == [1, 2, 3, 4, None, 12]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ 1234567|num }}", "1,234,567"),
        ("{{ 12.345|num }}", "12.3"),
        ("{{ 0.01234|num }}", "0.0123"),
        ("{{ 1234.5|num }}", "1,235"),
        ("{{ absent|num }}", "not reported"),
        ("{{ 2.5|score }}", "3"),
        ("{{ none|score }}", "not scored"),
        ("{{ 0.342|share_pct }}", "34\u202f%"),
        ("{{ 0.004|share_pct }}", "0.4\u202f%"),
        ("{{ 0|share_pct }}", "0\u202f%"),
        ("{{ 3|signed }}", "+3"),
        ("{{ zero|signed }}", "0"),
        ("{{ minus|signed }}", "\u22123"),
        ("{{ 950|money:'INR' }}", "950\u00a0INR"),
        ("{{ none|money:'INR' }}", "not reported"),
        (
            "{{ 3|band_n }} {{ 5|band_n }} {{ 24|band_n }} {{ 49|band_n }} {{ 100|band_n }}",
            "&lt; 5 5–9 10–24 25–49 100+",
        ),
        ("{{ none|band_n }}", "not reported"),
        ("{{ 1.26|fixed:1 }}", "1.3"),
    ],
)
def test_filters(text, expected):
    assert fragment(text, none=None, zero=0.2, minus=-3.1) == expected


def test_money_is_short_and_keeps_the_exact_amount():
    html = fragment("{{ amount|money:'INR' }}", amount=1234567)

    assert html == '<data value="1234567" title="1,234,567 INR">1.2\u00a0million INR</data>'


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0, "today"),
        (1, "1 day ago"),
        (13, "13 days ago"),
        (20, "2 weeks ago"),
        (95, "3 months ago"),
        (800, "2 years ago"),
        (-5, "in 5 days"),
    ],
)
def test_ago_of_a_day(days, words):
    day = timezone.localdate() - dt.timedelta(days=days)

    assert f">{words}</time>" in tags.ago(day) and day.isoformat() in tags.ago(day)


def test_ago_of_an_instant():
    assert "just now" in tags.ago(timezone.now())
    assert "never" in tags.ago(None)


def test_block_components_escape_their_title():
    for name, close in (
        ("card title=t", "card"),
        ("section title=t", "section"),
        ("scroll label=t", "scroll"),
    ):
        html = fragment(f"{{% {name} %}}<p>x</p>{{% end{close} %}}", t=HOSTILE)
        balance(html)
        assert "<b onclick" not in html and "<p>x</p>" in html


def own_files(*patterns):
    return [path for pattern in patterns for path in ROOT.glob(pattern)]


@pytest.mark.parametrize(
    "path", own_files("templates/**/*.html", "static/css/*.css", "static/js/*.js"), ids=lambda p: p.name
)
def test_nothing_inline_and_nothing_from_another_host(path):
    text = path.read_text()

    assert not re.search(r"""\sstyle\s*=\s*["']""", text), "an inline style"
    assert "<style" not in text
    assert not re.search(r"""\son[a-z]+\s*=\s*["']""", text), "an inline handler"
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)", text), "an inline script"
    assert not re.search(r"""(src|href|url\(|@import|fetch\()\s*=?\s*["'(]?\s*(https?:)?//""", text), "a foreign host"


def test_styles_weigh_little():
    everywhere = ("tokens", "base", "components", "print")

    sizes = {path.stem: path.stat().st_size for path in (ROOT / "static/css").glob("*.css")}
    assert sum(size for name, size in sizes.items() if name in everywhere) <= 36 * 1024
    assert max(size for name, size in sizes.items() if name not in everywhere) <= 12 * 1024
    # Scripts: one small file everywhere; what fills in a return is loaded on its pages only.
    scripts = {path.stem: path.stat().st_size for path in (ROOT / "static/js").glob("*.js")}
    assert scripts.pop("enhance") <= 5 * 1024
    assert max(scripts.values()) <= 20 * 1024


def test_every_role_a_style_names_is_a_token():
    tokens = (ROOT / "static/css/tokens.css").read_text()
    for path in own_files("static/css/*.css"):
        for role in re.findall(r"var\((--[\w-]+)\)", path.read_text()):
            assert f"{role}:" in tokens, f"{path.name} names {role}"


def test_pages_of_refusal_stand_without_context():
    for name in ("404", "403", "500"):
        html = render_to_string(f"{name}.html")
        balance(html)
        assert html.count("<h1>") == 1


def test_ribbon_shows_on_a_site_of_invented_figures_only():
    assert "Demonstration figures, invented" in render_to_string("404.html", {"synthetic_site": True})
    assert "Demonstration figures" not in render_to_string("404.html")


def test_sign_in_names_the_demonstration_accounts_without_password():
    accounts = [{"username": "demo-entry", "does": "fills in the return"}]
    html = render_to_string("accounts/sign_in.html", {"form": SignInForm(), "next": "", "demo_accounts": accounts})

    balance(html)
    assert "demo-entry" in html and "fills in the return" in html


def test_current_place_is_marked_in_the_menu():
    request = RequestFactory().get("/clusters/PK-SUR-SKT/")
    html = render_to_string("404.html", {}, request=request)

    assert html.count('href="/clusters/" aria-current="true"') == 2
    assert 'href="/cci/" aria-current' not in html


def test_style_guide_shows_every_component():
    request = RequestFactory().get("/style-guide/")
    view = style_guide.StyleGuide()
    view.setup(request)
    html = render_to_string("style_guide.html", view.get_context_data(), request=request)

    balance(html)
    source = (ROOT / "templates/style_guide.html").read_text()
    shown = set(re.findall(r"components/(\w+)\.html", source))
    inside_others = {"borders", "bound_field"}
    assert set(INPUTS) - shown <= inside_others
