"""An invented panel with heavy tails, to try masks on: the same numbers for the same seed."""

import numpy as np

from facts.disclosure.panel import Floats, Ints, Panel

SIZE_SHARES = (0.55, 0.35, 0.10)  # small, middle, large firms
SIZE_CENTRES = (4.0, 6.0, 8.0)  # of the logarithm of their sales
SPREADS = (0.9, 0.9, 1.2)


def synthetic_panel(
    clusters: int,
    firms: int,
    *,
    sectors: int = 12,
    zones: int = 8,
    seed: int = 1,
    in_holdings: float = 0.03,
    second: bool = False,
) -> Panel:
    """Return one edition of about `firms` units in clusters of unequal size, with three size classes.

    Sales are log-normal within a size class. in_holdings : share of units that belong to a holding of two to five.
    second : give also persons employed, correlated with sales.
    """
    rng = np.random.default_rng(seed)
    share = rng.lognormal(0.0, 0.7, clusters)
    cluster = np.repeat(np.arange(clusters), np.maximum(3, np.round(firms * share / share.sum())).astype(np.int64))
    n = len(cluster)
    size = rng.choice(3, size=n, p=SIZE_SHARES)
    sales = np.exp(rng.normal(np.array(SIZE_CENTRES)[size], np.array(SPREADS)[size])).round(2) + 0.01
    values: dict[str, Floats] = {"sales": sales[:, None]}
    if second:
        values["persons"] = np.ceil(sales[:, None] ** 0.7 * np.exp(rng.normal(0, 0.4, (n, 1))))
    sector, zone = _spread(rng, clusters, sectors), _spread(rng, clusters, zones)
    return Panel(
        holding=holdings(rng, n, in_holdings),
        place=(cluster * 3 + size)[:, None],
        values=values,
        sector=sector[None],
        zone=zone[None],
        sizes=3,
        eligible=np.ones((1, clusters), dtype=bool),
    )


def _spread(rng: np.random.Generator, clusters: int, classes: int) -> Ints:
    """Classes of unequal size, none empty while there are clusters for all."""
    share = rng.dirichlet(np.full(classes, 8.0))
    drawn = rng.choice(classes, size=clusters, p=share)
    drawn[: min(classes, clusters)] = np.arange(min(classes, clusters))
    return rng.permutation(drawn).astype(np.int64)


def holdings(rng: np.random.Generator, n: int, share: float) -> Ints:
    """Return (n,) owners: `share` of the units, drawn at random, in groups of two to five; the others alone."""
    owner = np.arange(n)
    members = rng.permutation(n)[: int(n * share)]
    at = 0
    while at + 1 < len(members):
        step = int(rng.integers(2, 6))
        owner[members[at : at + step]] = owner[members[at]]
        at += step
    return owner
