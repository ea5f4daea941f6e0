"""The index rule: what else of a hierarchy must stay hidden, so that nobody can work out a hidden leaf.

A composite that is shown, with one hidden child of weight w, tells that child within its own rounding divided by w
(security design §6). With two hidden children it tells one sum of two unknowns, which gives neither away.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

Tree = Mapping[str, Sequence[str]]
MOST_HIDDEN = 0.4  # of the index's weight; above it too little can be shown for a rank
FACETS = frozenset({"value", "score", "rank", "percentile", "trend", "driver", "peers"})  # all hidden with the node


@dataclass(frozen=True)
class Hidden:
    """What is hidden of one cluster.

    nodes : hidden leaves and composites, those asked for among them.
    share : weight of the hidden leaves in the index, in [0, 1].
    too_little : the cluster is not ranked, because too little of it can be shown.
    """

    nodes: frozenset[str]
    share: float
    too_little: bool


def _root(tree: Tree) -> str:
    tops = set(tree) - {child for children in tree.values() for child in children}
    if len(tops) != 1:
        raise ValueError(f"The hierarchy has {len(tops)} tops ({', '.join(sorted(tops))}), not one: name one index.")
    return tops.pop()


def _downward(tree: Tree, node: str) -> list[str]:
    """Composites below and with the node, parents before children."""
    return [node] + [below for child in tree[node] if child in tree for below in _downward(tree, child)]


def _present(tree: Tree, weights: Mapping[str, float], node: str) -> list[str]:
    """Children that enter the node: a child without weight, or a composite of such children, tells nothing."""
    return [
        child
        for child in tree[node]
        if weights.get(child, 0.0) > 0 and (child not in tree or _present(tree, weights, child))
    ]


def hide(tree: Tree, hidden: Iterable[str], weights: Mapping[str, float], most_hidden: float = MOST_HIDDEN) -> Hidden:
    """Return all nodes of one cluster that must be hidden because these leaves are.

    tree : composite → its children; one node is nobody's child, the index. A name that is no key is a leaf.
    hidden : leaves that are masked. A leaf that does not enter (no weight) stays hidden and asks for nothing.
    weights : node → weight within its parent, any positive scale. Leave out, or give 0 to, what has no value for this
        cluster: it does not enter its parent.
    most_hidden : share of the index's weight, in [0, 1], above which too little can be shown.

    From the leaves upward, each shown composite with exactly one hidden child gets a second: the child that costs the
    index least weight, with its own cheapest leaf where it is a composite of shown leaves (hiding a mean of shown
    figures hides nothing). Where there is no second child the composite itself is hidden, and its parent looked at.

    >>> tree = {"Index": ["A", "B"], "A": ["a1", "a2", "a3"], "B": ["b"]}
    >>> sorted(hide(tree, ["a1"], {"A": 1, "B": 1, "a1": 1, "a2": 2, "a3": 1, "b": 1}).nodes)
    ['a1', 'a3']
    """
    top = _root(tree)
    order = _downward(tree, top)
    parent = {child: node for node in order for child in tree[node]}
    children = {node: _present(tree, weights, node) for node in order}
    asked = frozenset(hidden)
    wrong = sorted(asked - (set(parent) - set(tree)))
    if wrong:
        raise ValueError(f"{wrong[0]} is no leaf of the index {top}: hide leaves, their composites follow.")
    whole: dict[str, float] = {top: 1.0}  # weight within the index
    for node in order:
        total = sum(weights[child] for child in children[node])
        for child in children[node]:
            whole[child] = whole.get(node, 0.0) * weights[child] / total
    gone = {leaf for leaf in asked if leaf in children[parent[leaf]]}

    def cheapest(node: str) -> tuple[float, list[str]]:
        """Weight of the leaves newly hidden with a shown node, and all nodes hidden with it."""
        if node not in tree:
            return whole.get(node, 0.0), [node]
        if any(child in gone for child in children[node]):
            return 0.0, [node]
        cost, nodes = second(node)
        return cost, [node, *nodes]

    def second(node: str) -> tuple[float, list[str]]:
        """The same of the shown child that costs the index least; the lighter child, then the earlier, at a tie."""
        ways = [(*cheapest(child), child) for child in children[node] if child not in gone]
        cost, nodes, _ = min(ways, key=lambda way: (way[0], whole.get(way[2], 0.0)))
        return cost, nodes

    for node in reversed(order):
        inside = [child for child in children[node] if child in gone]
        if node not in gone and len(inside) == 1:
            gone.update(second(node)[1] if len(children[node]) > 1 else [node])
    added = sorted(gone - asked, key=lambda node: (-whole.get(node, 0.0), node))
    while spare := next((node for node in added if node in gone and not _told(order, children, gone - {node})), None):
        gone.discard(spare)  # a second child of a composite that fell later
    share = sum(whole.get(node, 0.0) for node in gone if node not in tree)
    return Hidden(frozenset(gone | asked), share, top in gone or share > most_hidden)


def _told(order: Sequence[str], children: Mapping[str, Sequence[str]], hidden: Collection[str]) -> set[str]:
    """Hidden nodes that the others tell: the only unknown child of a known node, or the mean of known children."""
    known = {*order, *(child for inside in children.values() for child in inside)} - set(hidden)
    found: set[str] = set()
    while True:
        more: set[str] = set()
        for node in order:
            unknown = [child for child in children[node] if child not in known]
            if node in known and len(unknown) == 1:
                more.update(unknown)
            elif node not in known and children[node] and not unknown:
                more.add(node)
        if not more:
            return found
        known |= more
        found |= more


def check_hidden(tree: Tree, shown: Mapping[str, Collection[str]], weights: Mapping[str, float]) -> list[str]:
    """Return a sentence for each hidden node of one cluster that its page gives away; no sentence: none.

    shown : node → what is shown of it (of FACETS); a node left out, or with nothing, is hidden. It must be read off
    what is published, not off what was meant to be.

    A node is known from any of its facets, since goalposts are public. A hidden composite whose children are all known
    is known too; so is a child that is the only unknown one under a known composite.
    """
    order = _downward(tree, _root(tree))
    children = {node: _present(tree, weights, node) for node in order}
    sentences = []
    for node in sorted(shown):
        facets = set(shown[node])
        if facets and "score" not in facets:
            sentences.append(f"{node}: {', '.join(sorted(facets))} shown although its score is hidden; hide all of it.")
    hidden = {node for node in {*children, *(c for inside in children.values() for c in inside)} if not shown.get(node)}
    for node in sorted(_told(order, children, hidden)):
        sentences.append(f"{node}: hidden, but what is shown around it tells it; hide a second child or the composite.")
    return sentences
