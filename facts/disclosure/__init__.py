"""Which cells of an edition may be shown: masks made and proved by attack. Pure: arrays in, masks and a report out.

    panel = Panel(holding, place, values, sector, zone, sizes=3, eligible=eligible)   # what the agency knows
    masks = make_masks(panel, earlier=[given_last_time])                              # what may be shown
    assert audit(panel, [given_last_time, masks.given]).passed                        # proved again, from scratch
    hidden = hide(tree, masked_leaves, weights)                                       # and of each cluster's index

docs/disclosure.md says what is guaranteed and what is not.
"""

from facts.disclosure.audit import Audit, Printed, as_of, audit, audit_printed, print_cells
from facts.disclosure.index import FACETS, Hidden, check_hidden, hide
from facts.disclosure.masks import EMPTY, HELD, PRIMARY, SECONDARY, SHOWN, STATES, Limits, Masks, Report, make_masks
from facts.disclosure.panel import TABLES, WEIGHTS, IndexRow, Panel, Tables
from facts.disclosure.rules import Rules

__all__ = [
    "EMPTY", "FACETS", "HELD", "PRIMARY", "SECONDARY", "SHOWN", "STATES", "TABLES", "WEIGHTS", "Audit", "Hidden",
    "IndexRow", "Limits", "Masks", "Panel", "Printed", "Report", "Rules", "Tables", "as_of", "audit", "audit_printed",
    "check_hidden", "hide", "make_masks", "print_cells",
]  # fmt: skip
