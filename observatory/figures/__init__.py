"""Figures: numbers in, SVG out. Pure: no Django, no files, no clock.

Every figure carries a `<title>` and a `<desc>` in words, keeps text as text, takes its colours from classes,
and has no style attribute, so that it obeys the page's content security policy, dark mode and print. Wide
figures place things in percent of their width, letters in pixels: 360 px shrink no word.

>>> rank_interval(5, 6, 8, 14)[:4]
'<svg'
"""

from .cells import PILLARS, pillar_bars, rank_interval, score_bar
from .charts import dot_strip, line, slope
from .lists import bar_list, interval_list
from .maps import region_map
from .parts import SVG

__all__ = [
    "PILLARS",
    "SVG",
    "bar_list",
    "dot_strip",
    "interval_list",
    "line",
    "pillar_bars",
    "rank_interval",
    "region_map",
    "score_bar",
    "slope",
]
