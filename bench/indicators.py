"""65 indicators and their bootstrap at 100,000 and 1,000,000 returns; floors: group-by sums of the same columns.

`python -m bench indicators`. The tables are copies of the invented panel under other names: two rounds, as growth
needs them. Everything starts from the tables as a snapshot opens them, with nothing worked out beforehand.

Floors: the sum of every question that the formulas read, by cluster, over both rounds, missing left out: with pandas
(`groupby(...).sum()`) and with bare NumPy (clusters as whole numbers, one stable sort, `np.add.reduceat` per column).
They read no frame, match no unit with its return a year earlier, weigh nothing and find no median.
"""

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pandas as pd

from bench import best

SIZES = (100_000, 1_000_000)
ROUNDS = (2024, 2025)


def tables_of(returns: int):
    """Tables of a snapshot with about so many operating returns in each of two rounds."""
    from facts.demo.panel import generate
    from facts.indicators.tables import Tables

    panel = generate()
    units, frames, collective = [], [], []
    regions = {code: answers["CA05"] for code, answers in panel.cluster_answers[ROUNDS[-1]].items()}
    for year in ROUNDS:
        frames.append(panel.frame[year].assign(round=year))
        units += [
            {"round": year, "cluster": e["cluster"], "frame_id": e["frame_id"], **_flat(e["answers"])}
            for e in panel.returns[year]
            if e["outcome"] == "accepted"
        ]
        for answers, schedule in ((panel.cluster_answers, "CLUSTER"), (panel.association_answers, "ASSOCIATION")):
            collective += [(year, schedule, code, code, "", json.dumps(a)) for code, a in answers[year].items()]
        of_regions = panel.region_answers[year].items()
        collective += [(year, "REGION", code, "", code, json.dumps(a)) for code, a in of_regions]
    one, frame = pd.DataFrame(units), pd.concat(frames, ignore_index=True)
    filed = pd.DataFrame(collective, columns=["round", "schedule", "subject", "cluster", "region", "answers"])
    copies = round(returns / (one["round"] == ROUNDS[-1]).sum())

    def copied(table: pd.DataFrame, *names: str) -> pd.DataFrame:
        parts = [table.assign(**{name: _named(table[name], copy) for name in names}) for copy in range(copies)]
        return pd.concat(parts, ignore_index=True)

    context = panel.context.reset_index().rename(
        columns={"ref_year": "year", "ppp_base": "ppp_lcu_per_usd", "fx": "fx_lcu_per_usd"}
    )
    clusters = pd.DataFrame(
        {
            "code": list(regions),
            "country": [code[:2] for code in regions],
            "region": list(regions.values()),
            "sector": "",
            "fiscal_year_end_month": 12,
        }
    )
    return Tables(
        units=copied(one, "cluster", "frame_id"),
        frame=copied(frame, "cluster", "frame_id"),
        collective=copied(filed, "cluster", "region"),
        context=context[["country", "year", "inflation_pct", "ppp_lcu_per_usd", "fx_lcu_per_usd"]],
        clusters=copied(clusters, "code", "region"),
    )


def _flat(answers: dict) -> dict:
    """Answers as a snapshot holds them: lists joined, no markers."""
    return {k: ";".join(v) if isinstance(v, list) else v for k, v in answers.items() if v not in ("DK", "REF")}


def _named(names: pd.Series, copy: int) -> pd.Series:
    return (names + f"-{copy}").where(names != "", "")


def fresh(tables):
    """The same frames in a new object: nothing that was worked out before is kept."""
    return type(tables)(**{field.name: getattr(tables, field.name) for field in fields(tables)})


def peak(work: Callable[[], object]) -> float:
    """Megabytes that Python and NumPy held at once beyond what was there, in a run of its own."""
    tracemalloc.start()
    work()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def run() -> list[tuple]:
    """Measure and print; returns (returns, seconds, floor pandas, floor NumPy, ratio, peak MB, bootstrap seconds, its
    peak MB) for each size."""
    from cci.methodology import load_method
    from facts.indicators.compute import compute_round
    from facts.indicators.resampling import replicated

    method = load_method("1.0")
    definitions, uncertainty = method.definitions, method.content["uncertainty"]
    rows = []
    print("\n65 indicators of a round, growth on the round before; floors: sums of the same columns of both rounds")
    print(f"{'returns':>10}{'clusters':>10}{'seconds':>9}{'pandas':>9}{'numpy':>9}{'ratio':>7}{'peak MB':>9}", end="")
    print(f"{'bootstrap':>11}{'peak MB':>9}   (ratio to the quicker floor; bootstrap: 200 replicates of all 65)")
    for size in SIZES:
        tables = tables_of(size)
        read = sorted(frozenset().union(*definitions.questions.values()) & set(tables.units.columns))
        numbers = [name for name in read if pd.api.types.is_numeric_dtype(tables.units[name])]
        texts = [name for name in read if name not in numbers]
        times = 5 if size < 500_000 else 2

        def with_pandas(units=tables.units, numbers=numbers, texts=texts):
            by = units.groupby(["round", "cluster"])
            return by[numbers].sum(), by[texts].count()

        def with_numpy(units=tables.units, numbers=numbers, texts=texts):
            place, _ = pd.factorize(units["cluster"])
            place = place * 2 + (units["round"].to_numpy() == ROUNDS[-1])
            order = np.argsort(place.astype(np.uint16 if place.max() < 1 << 16 else np.int64), kind="stable")
            starts = np.flatnonzero(np.diff(place[order], prepend=-1))
            columns = (units[name].to_numpy(dtype=float)[order] for name in numbers)
            sums = [np.add.reduceat(np.nan_to_num(column), starts) for column in columns]
            return sums, [np.add.reduceat(units[name].notna().to_numpy()[order], starts) for name in texts]

        def indicators(tables=tables):
            return compute_round(fresh(tables), ROUNDS[-1], definitions, method.imputation)

        def bootstrap(tables=tables):
            parts = replicated(
                fresh(tables), ROUNDS[-1], definitions, uncertainty["replicates"], imputation=method.imputation
            )
            return sum(len(part.values) for part in parts)

        took = best(indicators, times)
        pandas_, numpy_ = best(with_pandas, times), best(with_numpy, times)
        boot = best(bootstrap, 1)
        row = (
            int((tables.units["round"] == ROUNDS[-1]).sum()),
            *(took, pandas_, numpy_, took / min(pandas_, numpy_), peak(indicators), boot, peak(bootstrap)),
        )
        rows.append(row)
        print(f"{row[0]:10,}{len(tables.codes):10,}{took:9.3f}{pandas_:9.3f}{numpy_:9.3f}{row[4]:7.1f}", end="")
        print(f"{row[5]:9,.0f}{boot:11.2f}{row[7]:9,.0f}")
    return rows
