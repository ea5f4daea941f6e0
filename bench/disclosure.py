"""Masks made, and audited again from scratch: `python -m bench disclosure` (`BENCH_CLUSTERS=600,6000` for other sizes).

Floor: the plain group-by of all eight tables for one variable, which any publication needs. Peak: resident memory.
"""

import os
import resource

import numpy as np

from bench import best
from bench.__main__ import table
from facts.disclosure import Limits, Rules, make_masks
from facts.disclosure.synthetic import synthetic_panel

FIRMS = {600: 22_186, 6_000: 1_000_000}


def run() -> None:
    """Print seconds by stage beside the floor, and what the masks cost and are worth."""
    for clusters in map(int, os.environ.get("BENCH_CLUSTERS", "600,6000").split(",")):
        firms = FIRMS.get(clusters, clusters * 40)
        panel = synthetic_panel(clusters, firms)
        values = panel.values["sales"][:, 0]

        def plain(panel=panel, values=values) -> None:
            cells = panel.tables.cells(panel.place[:, 0], panel.sector[0], panel.zone[0])
            for at in range(cells.shape[1]):
                np.bincount(cells[:, at], weights=values, minlength=panel.tables.count)

        floor = best(plain)
        report = make_masks(panel, Rules(), limits=Limits()).report
        rows = [(stage, seconds, floor) for stage, seconds in report.seconds.items()]
        table(
            f"{len(values):,} firms, {clusters:,} clusters; floor: group-by of the eight tables",
            [*rows, ("all", sum(report.seconds.values()), floor)],
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{report.programmes:,} programmes of {report.unknowns['sales']:,} unknowns; peak {peak:,.0f} MB")
        print(f"exposed before {report.exposed_before}, after {report.exposed_after}")
        print(f"passing clusters shown {report.clusters_shown} of {report.clusters_passing} = {report.share_shown:.1%}")
        for name, counts in report.cells.items():
            print(f"  {name:12}" + "".join(f"{state} {many:5}  " for state, many in counts.items()))
