"""Words and figures in templates: numbers, time, icons, states, and components that wrap children."""

import datetime as dt
import math
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe

from observatory import figures

register = template.Library()

NOT_REPORTED = "not reported"
MINUS = "\u2212"
THIN = "\u202f"  # narrow no-break space: between a number and its unit

ICONS = {
    "menu": "M2 4h12M2 8h12M2 12h12",
    "search": "M7 2a5 5 0 1 1 0 10A5 5 0 0 1 7 2zM11 11l4 4",
    "download": "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 14h11",
    "upload": "M8 11V3M4.5 6 8 2.5 11.5 6M2.5 14h11",
    "previous": "M10 3 5 8l5 5",
    "next": "m6 3 5 5-5 5",
    "up": "M8 13V3M4 7l4-4 4 4",
    "down": "M8 3v10M4 9l4 4 4-4",
    "check": "m2.5 8.5 3.5 3.5 7.5-8",
    "good": "m2.5 8.5 3.5 3.5 7.5-8",
    "info": "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13zM8 7v4.5M8 4.3v.4",
    "warn": "M8 2 1.5 14h13zM8 6.5v3.5M8 12v.3",
    "bad": "M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3zM8 4.5V9M8 11.3v.3",
    "pencil": "M3 13l.7-3L11 2.7l2.3 2.3L6 12.3z",
    "sent": "M2 8h11M9 4l4 4-4 4",
    "eye": "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z"
    "M8 6.3a1.7 1.7 0 1 1 0 3.4a1.7 1.7 0 1 1 0-3.4z",
    "back": "M6 3 2.5 6.5 6 10M3 6.5h6.5a4 4 0 0 1 0 7H7",
    "lock": "M3.5 7h9v7h-9zM5.5 7V5a2.5 2.5 0 0 1 5 0v2",
    "clock": "M8 1.5a6.5 6.5 0 1 1 0 13a6.5 6.5 0 0 1 0-13zM8 4.5V8l2.5 2",
    "cross": "m3.5 3.5 9 9M12.5 3.5l-9 9",
    "dash": "M3 8h10",
    "dot": "M8 5.5a2.5 2.5 0 1 1 0 5a2.5 2.5 0 0 1 0-5z",
    "synthetic": "M8 2l6 6-6 6-6-6zM8 5v3.5M8 10.7v.3",
    "file": "M4 1.5h5.5L13 5v9.5H4zM9.5 1.5V5H13",
}

# state: (word, tone, icon)
BADGES = {
    "todo": ("To do", "neutral", "dot"),
    "not_started": ("Not started", "neutral", "dot"),
    "in_progress": ("In progress", "accent", "pencil"),
    "done": ("Done", "good", "check"),
    "draft": ("Draft", "neutral", "pencil"),
    "submitted": ("Submitted", "accent", "sent"),
    "in_review": ("In review", "accent", "eye"),
    "sent_back": ("Sent back", "warn", "back"),
    "accepted": ("Accepted", "good", "check"),
    "reopened": ("Reopened", "warn", "back"),
    "locked": ("Locked", "neutral", "lock"),
    "waiting": ("Waiting", "neutral", "clock"),
    "queued": ("Queued", "neutral", "clock"),
    "running": ("Running", "accent", "clock"),
    "computing": ("Computing", "accent", "clock"),
    "candidate": ("Candidate", "accent", "eye"),
    "proposed": ("Proposed", "accent", "sent"),
    "scheduled": ("Under embargo", "warn", "lock"),
    "published": ("Published", "good", "check"),
    "superseded": ("Superseded", "neutral", "dash"),
    "withdrawn": ("Withdrawn", "bad", "cross"),
    "cancelled": ("Cancelled", "neutral", "cross"),
    "checked": ("Checked", "accent", "eye"),
    "adopted": ("Adopted", "good", "check"),
    "declined": ("Declined", "bad", "cross"),
    "failed": ("Failed", "bad", "bad"),
    "overdue": ("Overdue", "bad", "clock"),
    "planned": ("Planned", "neutral", "clock"),
    "ongoing": ("Ongoing", "accent", "dot"),
    "completed": ("Completed", "good", "check"),
    "hard": ("Must be mended", "bad", "bad"),
    "soft": ("Please explain", "warn", "warn"),
    "verified": ("Verified", "good", "check"),
    "provisional": ("Provisional", "warn", "clock"),
    "withheld": ("Withheld", "neutral", "lock"),
    "synthetic": ("Invented", "neutral", "synthetic"),
}
CALLOUT_TONES = {"success": "good", "warning": "warn", "error": "bad"}
SCALES = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
BANDS = ((5, "< 5"), (10, "5–9"), (25, "10–24"), (50, "25–49"), (100, "50–99"))


def as_number(value: Any) -> float | int | Decimal | None:
    """Return a finite number, or None for what is absent; text that holds a number counts."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    if not isinstance(value, int | float | Decimal):
        try:
            value = float(value)
        except (TypeError, ValueError):
            return None
    return value if math.isfinite(value) else None


def grouped(value, decimals: int) -> str:
    """Write a number with the language's separators and a true minus; halves are rounded away from zero."""
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    text = number_format(abs(exact), decimals, use_l10n=True, force_grouping=True)
    return f"{MINUS}{text}" if exact < 0 else text


def significant_decimals(value, digits: int) -> int:
    """Decimals that show `digits` significant digits, the whole part never cut."""
    if not value:
        return 0
    return max(0, digits - 1 - math.floor(math.log10(abs(value))))


@register.filter
def num(value, digits=3):
    """1234567 → 1,234,567; 12.345 → 12.3: whole numbers stay whole, others show `digits` that count."""
    number = as_number(value)
    if number is None:
        return NOT_REPORTED
    if number == int(number):
        return grouped(number, 0)
    return grouped(number, significant_decimals(number, int(digits)))


@register.filter
def fixed(value, decimals=1):
    """Always `decimals` decimals: for columns that must line up."""
    number = as_number(value)
    return NOT_REPORTED if number is None else grouped(number, int(decimals))


@register.filter
def score(value):
    """A score in whole points: more would claim more than is known."""
    number = as_number(value)
    return "not scored" if number is None else grouped(number, 0)


@register.filter
def signed(value, decimals=0):
    """+3, −2, 0: a change."""
    number = as_number(value)
    if number is None:
        return NOT_REPORTED
    text = grouped(number, int(decimals))
    return text if text.startswith(MINUS) or not text.strip("0.,") else f"+{text}"


@register.filter
def share_pct(value, decimals=None):
    """A share in [0, 1] as percent: 0.342 → 34 %. Below one percent it keeps one digit that counts."""
    number = as_number(value)
    if number is None:
        return NOT_REPORTED
    percent = float(number) * 100
    if decimals is None:
        decimals = min(2, significant_decimals(percent, 1)) if 0 < abs(percent) < 1 else 0
    return f"{grouped(percent, int(decimals))}{THIN}%"


@register.filter
def money(value, currency=""):
    """1234567|money:"INR" → 1.2 million INR; the exact amount stands in the title and the value attribute."""
    number = as_number(value)
    if number is None:
        return NOT_REPORTED
    exact = f"{grouped(number, 0)} {currency}".strip()
    for scale, word in SCALES:
        if abs(number) >= scale:
            short = float(number) / scale
            text = grouped(short, 1 if abs(short) < 100 else 0).removesuffix(".0")
            return format_html(
                '<data value="{}" title="{}">{}\u00a0{} {}</data>',
                str(number),
                exact,
                text,
                word,
                currency,
            )
    return exact.replace(" ", "\u00a0")


@register.filter
def band_n(value):
    """A count of firms as a band, so that it gives nobody away: 5–9, 10–24, …, 100+."""
    number = as_number(value)
    if number is None:
        return NOT_REPORTED
    return next((band for below, band in BANDS if number < below), "100+")


@register.filter
def ago(value):
    """A date or instant as a distance, the exact one in the title: "3 months ago"."""
    if not value:
        return "never"
    moment = value
    if not isinstance(value, dt.datetime):
        moment = dt.datetime.combine(value, dt.time())
    if timezone.is_naive(moment):
        moment = timezone.make_aware(moment)
    days = (timezone.localdate() - timezone.localtime(moment).date()).days
    seconds = (timezone.now() - moment).total_seconds()
    text = distance(days, seconds if isinstance(value, dt.datetime) else None)
    exact = date_format(timezone.localtime(moment) if isinstance(value, dt.datetime) else value, "j F Y")
    return format_html('<time datetime="{}" title="{}">{}</time>', value.isoformat(), exact, text)


def distance(days: int, seconds: float | None) -> str:
    """Say how far away a day is; within a day, how many minutes or hours where the instant is known."""
    ahead = days < 0 or (seconds is not None and seconds < 0)
    days = abs(days)
    for size, unit in ((365, "year"), (30, "month"), (7, "week"), (1, "day")):
        # Two of a unit at least, so that "1 month ago" never stands for 50 days; days from one.
        if days >= size * (1 if unit == "day" else 2):
            return phrase(days // size, unit, ahead)
    if seconds is None:
        return "today"
    minutes = int(abs(seconds) // 60)
    if minutes < 1:
        return "just now"
    return phrase(minutes // 60, "hour", ahead) if minutes >= 60 else phrase(minutes, "minute", ahead)


def phrase(count: int, unit: str, ahead: bool) -> str:
    words = f"{count} {unit}{'s' if count != 1 else ''}"
    return f"in {words}" if ahead else f"{words} ago"


@register.filter
def badge_word(state):
    return BADGES[state][0] if state in BADGES else str(state).replace("_", " ").capitalize()


@register.filter
def badge_tone(state):
    return BADGES[state][1] if state in BADGES else "neutral"


@register.filter
def badge_icon(state):
    return BADGES[state][2] if state in BADGES else "dot"


@register.filter
def callout_tone(level):
    """The tone of a Django message level."""
    return CALLOUT_TONES.get(level, "info")


@register.filter
def page_numbers(page):
    """The numbers a pager shows: first, last and the neighbours; None where some are left out."""
    total, last = page.paginator.num_pages, 0
    shown: list[int | None] = []
    for number in range(1, total + 1):
        if number in (1, total) or abs(number - page.number) <= 1:
            if number - last == 2:
                shown.append(number - 1)
            elif number - last > 2:
                shown.append(None)
            shown.append(number)
            last = number
    return shown


@register.filter
def field_id(ident, name):
    """The id of a field: the one given, or Django's own way."""
    return ident or f"id_{name}"


@register.filter
def options_of(options, kind):
    """The options of a question; yes and no where it is of that kind."""
    return [("1", "Yes"), ("0", "No")] if kind == "yesno" else options


@register.filter
def chosen(option, value):
    """Whether an option is the value, compared as text; nothing chosen chooses nothing."""
    if isinstance(value, bool):
        value = int(value)
    return value is not None and value != "" and str(option) == str(value)


@register.filter
def chosen_in(option, values):
    return str(option) in {str(value) for value in values or ()}


@register.filter
def unlocalised(value):
    """A value as machines write it, for attributes: no separators."""
    return "" if value is None else str(value)


@register.filter
def is_date(value):
    return isinstance(value, dt.date)


@register.filter
def dots(done, total):
    """`total` marks, the first `done` of them full."""
    return [i < int(done) for i in range(int(total))]


@register.filter
def paired(row, columns):
    """A row's cells, each with its column: [(cell, column), …]."""
    return list(zip(row, columns, strict=False))


@register.simple_tag
def icon(name):
    """A small line drawing beside a word; it says nothing alone, so readers of screens skip it."""
    return format_html(
        '<svg class="icon icon--{}" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d="{}"/></svg>',
        name if name in ICONS else "dot",
        ICONS.get(name, ICONS["dot"]),
    )


@register.simple_tag(takes_context=True)
def current(context, prefixes):
    """The attribute that marks where we are: `aria-current`, when the page lies under one of the prefixes."""
    path = getattr(context.get("request"), "path", "")
    for prefix in prefixes.split():
        if path.startswith(prefix):
            return mark_safe(' aria-current="page"' if path == prefix else ' aria-current="true"')
    return ""


@register.simple_tag
def rank_interval(low, nominal, high, n):
    """Dot and whisker of a rank among n, for a table cell."""
    return figures.rank_interval(low, nominal, high, n)


@register.simple_tag
def score_bar(value, peer_median=None, low=None, high=None):
    """A score from 0 to 100 as a bar, with the peers' median as a tick and, if given, its interval."""
    return figures.score_bar(value, peer_median, low=low, high=high)


@register.simple_tag
def pillar_bars(values):
    """Five small bars, one a pillar, for a table cell."""
    return figures.pillar_bars(values)


@register.simple_block_tag
def card(content, title="", href="", level=3, note="", extra=""):
    """{% card title="…" href="…" level=3 note="…" %}…{% endcard %}: a bounded piece of a page."""
    head = ""
    if title:
        words = format_html('<a href="{}">{}</a>', href, title) if href else title
        head = format_html("<h{0}>{1}</h{0}>", int(level), words)
    if note:
        head = format_html('{}<p class="card__note">{}</p>', head, note)
    return format_html('<article class="card {}">{}{}</article>', extra, head, content)


@register.simple_block_tag
def scroll(content, label):
    """{% scroll label="…" %}<table>…{% endscroll %}: wide matter scrolls in a region reached by keyboard."""
    return format_html('<div class="scroll" role="region" tabindex="0" aria-label="{}">{}</div>', label, content)


@register.simple_block_tag
def section(content, title, anchor="", note=""):
    """{% section title="…" anchor="…" note="…" %}…{% endsection %}: a part of a page under a rule."""
    ident = format_html(' id="{}"', anchor) if anchor else ""
    aside = format_html('<p class="quiet small">{}</p>', note) if note else ""
    return format_html(
        '<section class="section"{}><div class="section__head"><h2>{}</h2>{}</div>{}</section>',
        ident,
        title,
        aside,
        content,
    )


@register.filter
def joined(items, separator=", "):
    """Join plain values, each escaped."""
    return format_html_join(separator, "{}", ((item,) for item in items or ()))
