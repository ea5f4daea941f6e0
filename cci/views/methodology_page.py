"""How an edition is made, for readers."""

import math

from django.utils.decorators import method_decorator
from django.views.decorators.gzip import gzip_page
from django.views.generic import TemplateView

from .public import EditionPage
from .reading import about


@method_decorator(gzip_page, name="dispatch")
class MethodologyPage(EditionPage, TemplateView):
    """How an edition is made, written from the methodology's own data."""

    action = "methodology.read"
    template_name = "cci/methodology.html"

    def get_context_data(self, **kwargs):
        method, edition = self.method, self.edition
        content = method.content
        return super().get_context_data(
            method=method,
            same_files=method.digest == edition.methodology.digest,
            rules=content["rule"],
            coverage=content["reliability"]["stops"],
            thresholds=content["reliability"]["thresholds"],
            publication=content["publication"],
            uncertainty=content["uncertainty"],
            base_rounds=f"{min(content['base_rounds'])}–{max(content['base_rounds'])}",
            comparable_since=str(content["comparable_since"]),
            hierarchy=hierarchy_of(method),
            goalposts=goalposts_of(method),
            has_peer_goalposts=not method.peer_goalposts.empty,
            peers=content["peers"],
            variants=variants_of(edition, method),
            counts={
                "indicators": len(method.definitions.indicators),
                "dimensions": len(method.definitions.dimensions),
                "pillars": len(method.definitions.pillars),
                "clusters": edition.summary.get("clusters"),
                "ranked": edition.summary.get("ranked"),
                "units": about(edition.summary.get("units", 0)),
            },
            proxies=[f"{one.code} {one.name}" for one in method.definitions.indicators if one.estimated],
            proxy_rounds=", ".join(str(year) for year in content["proxy_rounds"]),
            **kwargs,
        )


def hierarchy_of(method) -> list[dict]:
    """Pillars with their dimensions with their indicators, each with its weight inside its parent and in the index."""
    parts = method.definitions
    return [
        {
            "node": pillar,
            "dimensions": [
                {
                    "node": dimension,
                    "share": dimension.weight * pillar.weight,
                    "indicators": [
                        {"node": one, "share": one.weight * dimension.weight * pillar.weight}
                        for one in parts.indicators
                        if one.dimension == dimension.code
                    ],
                }
                for dimension in parts.dimensions
                if dimension.parent == pillar.code
            ],
        }
        for pillar in parts.pillars
    ]


def variants_of(edition, method) -> list[dict]:
    """The edition made otherwise (framework §12.4): each variant in words, with how many bands change."""
    robustness = edition.report.get("robustness", {})
    names = {node.code: node.name for node in method.definitions.dimensions}
    return [
        {
            **variant,
            "words": f"without {names.get(variant['name'], variant['name'])}"
            if variant["family"] == "leave_out"
            else robustness["families"][variant["family"]],
            "is_mean": variant["family"] == "weights",
        }
        for variant in robustness.get("variants", [])
    ]


BACK = {"lin": lambda x: x, "log": math.exp, "log1p": math.expm1}
SCALES = {"lin": "as it is", "log": "logarithm", "log1p": "logarithm of one plus it"}


def goalposts_of(method) -> list[dict]:
    """The values that earn 0 and 100 points, in the indicator's own unit."""
    by_code = {one.code: one for one in method.definitions.indicators}
    rows = []
    for post in method.goalposts.itertuples(index=False):
        low, high = (BACK[post.transform](end) for end in (post.lo, post.hi))
        worst, best = (low, high) if post.direction > 0 else (high, low)
        rows.append({"node": by_code[post.iCode], "scale": SCALES[post.transform], "worst": worst, "best": best})
    return rows
