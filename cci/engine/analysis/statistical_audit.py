"""The statistical audit of an index as one set of tables."""

from collections.abc import Mapping, Sequence

import pandas as pd

from cci.engine.aggregation import LevelRule
from cci.engine.analysis.columns import statistics
from cci.engine.analysis.correlation import correlation_flags, pairs_within_groups, with_parents
from cci.engine.analysis.dimensions import cronbach_alpha, principal_components
from cci.engine.denomination import size_correlations
from cci.engine.meta import Hierarchy
from cci.engine.robustness import removal


def audit(
    normalised: pd.DataFrame,
    scores: pd.DataFrame,
    hierarchy: Hierarchy,
    *,
    observed: pd.DataFrame | None = None,
    treated: pd.DataFrame | None = None,
    denominators: pd.DataFrame | None = None,
    rules: Sequence[LevelRule] = (),
    groups: Mapping[str, LevelRule] | None = None,
    target: str | None = None,
    exact_counts: bool = True,
    ties: str = "min",
    tolerance: float = 1e-9,
    method: str = "pearson",
    redundant: float = 0.92,
    represented: float = 0.3,
    opposed: float = 0.0,
    size: float = 0.6,
    least_alpha: float = 0.7,
    least_first_share: float = 0.4,
) -> dict[str, pd.DataFrame]:
    """Put together what an auditor of a composite index reads, as tables without index.

    normalised : shape (n_units, n_indicators), on one scale, more is better; NaN missing.
    scores : shape (n_units, n_aggregates), the same units.
    observed, treated : the indicators in their own units, before and after treatment; each adds a table of
        statistics.
    denominators : shape (n_units, n_denominators); adds the indicators of `observed` that still go with a size.
    rules : of the aggregation; adds the removal of each element. groups, exact_counts : as for `aggregate`.
    target : the aggregate whose ranks the removal watches; the top, if there is one. ties, tolerance : as for `rank`.
    method : of the correlations, `pearson`, `spearman` or `kendall`. The other numbers are the limits of
        the flags: |r| within a group, r with the parent, r below which things are opposed, |r| with a
        denominator, alpha, and the share of variance of the first principal component.

    Returns, in this order and as far as asked for: `flags` (topic, element, words: all that is worth a
    second look, in sentences), `statistics_observed`, `statistics_treated`, `correlations_within_groups`,
    `correlations_with_parents`, `principal_component_groups`, `principal_components`, `loadings`,
    `cronbach_alpha`, `size_correlations`, `removal`. Method note, sections 10, 11 and 13.

    >>> from cci.engine.aggregation import aggregate
    >>> from cci.engine.meta import read_meta
    >>> tree = read_meta(pd.DataFrame({"Level": [1, 1, 2], "iCode": ["a", "b", "T"], "Parent": ["T", "T", ""],
    ...                                "Direction": [1, 1, 1], "Weight": [1, 1, 1]}))
    >>> scaled = pd.DataFrame({"a": [0.0, 50.0, 100.0], "b": [100.0, 30.0, 0.0]}, index=list("XYZ"))
    >>> tables = audit(scaled, aggregate(scaled, tree, [LevelRule()]), tree, rules=[LevelRule()])
    >>> list(tables)[:3], tables["removal"]["mean_abs_rank_change"].round(2).tolist()
    (['flags', 'correlations_within_groups', 'correlations_with_parents'], [1.0, 1.0])
    """
    values = normalised.join(scores)
    tables: dict[str, pd.DataFrame] = {}
    flags: list[tuple[str, str, str]] = []
    for name, stage in (("observed", observed), ("treated", treated)):
        if stage is not None:
            table = statistics(stage[list(hierarchy.indicators)]).reset_index()
            tables[f"statistics_{name}"] = table
            marked = table[table["flags"] != ""]
            flags.extend(
                (f"{name} values", code, words) for code, words in zip(marked["iCode"], marked["flags"], strict=True)
            )
    tables["correlations_within_groups"] = pairs_within_groups(values, hierarchy, method=method)
    tables["correlations_with_parents"] = with_parents(values, hierarchy, method=method)
    found = correlation_flags(
        values, hierarchy, redundant=redundant, represented=represented, opposed=opposed, method=method
    )
    flags.extend(
        ("correlation", element, words) for element, words in zip(found["element"], found["words"], strict=True)
    )

    dimensions = principal_components(values, hierarchy)
    tables["principal_component_groups"] = dimensions.groups
    tables["principal_components"] = dimensions.components
    tables["loadings"] = dimensions.loadings
    for group, _, k, _, above, share, note in dimensions.groups.itertuples(index=False):
        if note and k > 1:
            flags.append(("dimensions", group, f"undefined: {note}"))
        elif not note and above > 1:
            flags.append(("dimensions", group, f"{above} dimensions (eigenvalues above 1) instead of one"))
        elif not note and share < least_first_share:
            flags.append(("dimensions", group, f"the first dimension holds only {share:.0%} of the variance"))

    alpha = cronbach_alpha(values, hierarchy)
    tables["cronbach_alpha"] = alpha
    flags.extend(_alpha_flags(alpha, least_alpha))

    if denominators is not None and observed is not None:
        table = size_correlations(observed[list(hierarchy.indicators)], denominators, threshold=size)
        tables["size_correlations"] = table
        flags.extend(
            ("size", str(code), f"goes with the size of the unit ({name}: r = {r:.2f}): is it to be denominated?")
            for code, name, r, _ in table.itertuples(index=False)
        )
    if rules:
        tables["removal"] = removal(
            normalised,
            hierarchy,
            rules,
            target=target,
            ties=ties,
            tolerance=tolerance,
            groups=groups,
            exact_counts=exact_counts,
        ).summary
    return {"flags": pd.DataFrame(flags, columns=["topic", "element", "words"]), **tables}


def _alpha_flags(alpha: pd.DataFrame, least: float) -> list[tuple[str, str, str]]:
    flags = []
    whole = alpha[(alpha["dropped"] == "") & (alpha["n_components"] > 1)]
    for group, _, _, _, value, note in whole.itertuples(index=False):
        if note:
            flags.append(("consistency", group, f"alpha is undefined: {note}"))
        elif value < least:
            without = alpha[(alpha["group"] == group) & (alpha["dropped"] != "") & (alpha["alpha"] > value)]
            better = "; ".join(
                f"{a:.2f} without {code}" for code, a in without[["dropped", "alpha"]].itertuples(index=False)
            )
            flags.append(("consistency", group, f"alpha is {value:.2f}" + (f" ({better})" if better else "")))
    return flags
