"""What each role may reach, written down a second time from the design's permission matrix; nothing here asks the code.

RIGHTS : what is done → "ROLES:scope ROLES:scope"; a role that is not named is refused.
ROUTES : route → (kind of record it names, {method: right}); methods not named are refused or not there, for everybody.
Scopes : the words of `reach`, below.

AN VW UL AE AH ST SU AL AU PC SA as in `walk_world.CODES`. What AN may, everybody may.
"""

from .walk_world import CODES, TENANTS

RIGHTS = {
    "public": "AN:all",
    "signed in": "VW,UL,AE,AH,ST,SU,AL,AU,PC,SA:all",
    # the ground
    "read cluster": "AN:published AE,AH,ST,SU:own AL,AU:all",
    "read profile": "AE,AH,ST,SU:own AL,AU:all",
    "write profile": "AE,AH,ST,SU:own",
    "publish fact": "SU:own",
    "read frame numbers": "AE,AH,PC:own AL:all",
    # rounds: planned by the analyst, boards for who has clusters in it
    "read round board": "AE,AH,ST,SU,AL,AU:all",
    "edit round": "AL:all",
    "read round checks": "SU,AL:all",
    "more time, appoint": "SU:own AL:all",
    "make links": "AH:all",
    "replace link": "SU:all",
    # returns. A unit's own link seals its return: its association then sees the header, no more.
    "read header": "AE,AH:header ST,SU:agency AL,AU:all PC:typed UL:link",
    "read draft": "AE,AH:typed ST,SU:collective AL:all_collective UL:link",
    "read answers": "AE,AH:typed_or_shared ST,SU:collective AL:all_collective UL:link",
    "read or write one return": "AE,AH:typed ST,SU:collective AL:all_collective UL:link",
    "write return": "AE,AH:typed ST,SU:collective AL:all_collective PC:typed UL:link",
    "create return": "AE,AH,ST,SU,AL,PC:all",
    "take unit file": "AE,AH,PC:own ST,SU,AL:none",  # these fill no unit return, though they fill others
    "certify": "AH:typed ST,SU:collective AL:all_collective UL:link",
    "share": "UL:link",
    "export answers": "AE,AH:typed ST,SU:collective AL:all_collective UL:link",
    "read sheet": "AE,AH:typed_or_shared UL:link",
    "own file": "AE,AH,ST,SU,AL,PC:sender",
    "review": "SU:agency AL:all_collective",
    "reopen": "SU:agency AL:all",
    # queries repeat what a firm wrote: an officer of the agency who may not see values may not see them either
    "read queries": "AE,AH:typed ST:collective SU:agency AL:all UL:link",
    "read standing": "AE,AH,ST,SU:own AL,AU:all",
    "read cluster sheet": "AE,AH,ST,SU:own AL:all",
    # the index
    "read edition": "AN:public AL,AU:all",
    "read published edition": "AN:public",
    "manage index": "AL,AU:all",
    "decide on index": "AL:all",
    "read under embargo": "VW,AE,AH,ST,SU,AL,AU,PC,SA:listed",
    "read intervention": "AN:public AL,AU:all",
    # people, API clients and the own account: a personal link and a key of a program have none
    "own account": "VW,AE,AH,ST,SU,AL,AU,SA:all",
    "manage people": "AH:entries SU:staffs SA:people",
    "manage api clients": "AH,SU,SA:own",
    # what was opened, and the hour in which two people let one read what is closed to them
    "see openings": "AH,AU:all",
    "take everything": "AH:typed_unit UL:link",
    "break the glass": "AL,AU:granted",
}

P = {"GET": "public"}
W = {"GET": "public", "POST": "public"}
_manage = {"GET": "manage index"}
_decide = {"GET": "manage index", "POST": "decide on index"}

ROUTES = (
    {
        "": ("", P),
        "clusters/": ("", P),
        "clusters/<str:code>/": ("cluster", {"GET": "read cluster"}),
        "agencies/": ("", P),
        "agencies/<slug:slug>/": ("organisation", P),
        "workspace/": ("", {"GET": "signed in"}),
        "accounts/sign-in/": ("", W),
        "accounts/code/": ("", W),
        "accounts/second-factor/": ("", W),
        "accounts/reset/": ("", W),
        "accounts/reset/<str:token>/": ("dead link", W),
        "accounts/invitation/<str:token>/": ("dead link", W),
        "accounts/": ("", {"GET": "own account"}),
        "accounts/again/": ("", {"GET": "own account", "POST": "own account"}),
        "accounts/password/": ("", {"GET": "own account", "POST": "own account"}),
        "accounts/recovery-codes/": ("", {"GET": "own account", "POST": "own account"}),
        "accounts/sessions/end/": ("", {"POST": "own account"}),
        "workspace/people/": ("", {"GET": "manage people"}),
        "workspace/people/invite/": ("", {"GET": "manage people", "POST": "manage people"}),
        "workspace/people/<int:pk>/": ("membership", {"POST": "manage people"}),
        "workspace/people/offers/<int:pk>/": ("offer", {"POST": "manage people"}),
        "workspace/clients/": ("", {"GET": "manage api clients"}),
        "workspace/clients/new/": ("", {"GET": "manage api clients", "POST": "manage api clients"}),
        "workspace/clients/<int:pk>/": ("api client", {"POST": "manage api clients"}),
        "workspace/break-glass/": ("", {"GET": "break the glass", "POST": "break the glass"}),
        "workspace/break-glass/<int:pk>/": ("glass", {"GET": "break the glass", "POST": "break the glass"}),
        "workspace/break-glass/<int:pk>/<int:ret>/": ("glass", {"GET": "break the glass"}),
        "workspace/break-glass/<int:pk>/values.csv": ("glass", {"GET": "break the glass"}),
        "workspace/returns/openings/": ("", {"GET": "see openings"}),
        "workspace/returns/openings.csv": ("", {"GET": "see openings"}),
        "workspace/returns/<int:pk>/everything.json": ("return", {"GET": "take everything"}),
        "accounts/sign-out/": ("", {"POST": "public"}),
        "workspace/profiles/": ("", {"GET": "read profile"}),
        "workspace/profiles/<str:code>/": ("cluster", {"GET": "read profile", "POST": "write profile"}),
        "workspace/facts/<int:pk>/": ("fact", {"POST": "publish fact"}),
        "facts/": ("", P),
        "facts/rounds/": ("", P),
        "facts/rounds/<int:year>/collectors/": ("round", P),
        "facts/forms/<int:year>/<slug:schedule>.<slug:ending>": ("form", P),
        "r/<str:token>/": ("token", W),
        "indicators/": ("", P),
        "indicators/<str:code>/": ("indicator", P),
        # returns
        "workspace/returns/": ("", {"GET": "read header"}),
        "workspace/returns/start/": ("", {"POST": "create return"}),
        "workspace/returns/import/": ("", {"GET": "create return", "POST": "create return"}),
        "workspace/returns/import/<int:pk>/": ("upload", {"GET": "own file", "POST": "own file"}),
        "workspace/returns/import/<int:pk>/progress/": ("upload", {"GET": "own file"}),
        "workspace/returns/import/<int:pk>/to-mend.csv": ("upload", {"GET": "own file"}),
        "workspace/returns/field/": ("", {"GET": "create return", "POST": "create return"}),
        "workspace/returns/field/form.xlsx": ("unit file", {"GET": "take unit file"}),
        "workspace/returns/<int:pk>/paper.pdf": ("return", {"GET": "read draft"}),
        "workspace/returns/<int:pk>/receipt.pdf": ("return", {"GET": "read header"}),
        "workspace/returns/<int:pk>/answers.pdf": ("return", {"GET": "export answers"}),
        "workspace/returns/<int:pk>/benchmark.pdf": ("return", {"GET": "read sheet"}),
        "workspace/returns/template/": ("unit file", {"GET": "take unit file"}),
        "workspace/returns/<int:pk>/": ("return", {"GET": "read header", "POST": "write return"}),
        "workspace/returns/grid/": ("", {"GET": "read draft", "POST": "write return"}),
        "workspace/returns/certify/": ("", {"GET": "certify", "POST": "certify"}),
        "workspace/returns/<int:pk>/answers/": ("return", {"GET": "write return", "POST": "write return"}),
        "workspace/returns/<int:pk>/check/": ("return", {"GET": "read draft"}),
        "workspace/returns/<int:pk>/submit/": ("return", {"GET": "certify", "POST": "certify"}),
        "workspace/returns/<int:pk>/share/": ("return", {"POST": "share"}),
        "workspace/returns/<int:pk>/benchmark/": ("return", {"GET": "read sheet"}),
        "workspace/returns/<int:pk>/<str:section>/": ("section", {"GET": "read answers", "POST": "write return"}),
        # rounds
        "workspace/rounds/": ("", {"GET": "read round board", "POST": "edit round"}),
        "workspace/rounds/<int:year>/": ("round", {"GET": "read round board"}),
        "workspace/rounds/<int:year>/steps/": ("round", {"GET": "read round board", "POST": "edit round"}),
        "workspace/rounds/<int:year>/late/": ("round", {"GET": "read round board"}),
        "workspace/rounds/<int:year>/more-time/<str:code>/": (
            "cluster",
            dict.fromkeys(("GET", "POST"), "more time, appoint"),
        ),
        "workspace/rounds/<int:year>/collectors/<str:code>/": (
            "cluster",
            dict.fromkeys(("GET", "POST"), "more time, appoint"),
        ),
        "workspace/rounds/<int:year>/checks/": ("round", {"GET": "read round checks", "POST": "read round checks"}),
        "workspace/rounds/<int:year>/checks/run/": ("round", {"POST": "edit round"}),
        "workspace/rounds/<int:year>/links/": ("round", {"GET": "make links", "POST": "make links"}),
        "workspace/rounds/<int:year>/links/replace/": ("round", {"GET": "replace link", "POST": "replace link"}),
        # standing, review, queries
        "workspace/standing/": ("", {"GET": "read standing"}),
        "workspace/standing/<str:code>/": ("cluster", {"GET": "read standing"}),
        "workspace/standing/<str:code>/returns/": ("part of a standing", {"GET": "read standing"}),
        "workspace/review/": ("", {"GET": "review"}),
        "workspace/review/several/": ("", {"POST": "review"}),
        "workspace/review/reopenings/": ("", {"GET": "reopen"}),
        "workspace/review/<int:pk>/": ("return", {"GET": "review", "POST": "review"}),
        "workspace/review/<int:pk>/open-again/": ("return", {"GET": "reopen", "POST": "reopen"}),
        "workspace/queries/": ("", {"GET": "read queries"}),
        "workspace/queries/<int:pk>/": ("query", {"GET": "read queries", "POST": "read queries"}),
        # the index
        "cci/": ("", P),
        "cci/releases/": ("", P),
        "cci/errata/": ("", P),
        "cci/<str:label>/": ("edition label", {"GET": "read edition"}),
        "cci/<str:label>/changes/": ("edition label", {"GET": "read published edition"}),
        "cci/<str:label>/record/": ("edition label", {"GET": "read published edition"}),
        "cci/<str:label>/methodology/changes/": ("edition label", {"GET": "read published edition"}),
        "cci/<str:label>/clusters/<str:code>/": ("edition label", {"GET": "read edition"}),
        "cci/<str:label>/eligibility/": ("edition label", {"GET": "read edition"}),
        "cci/<str:label>/methodology/": ("edition label", {"GET": "read edition"}),
        "workspace/benchmark/<str:code>/": ("cluster", {"GET": "read cluster sheet"}),
        "workspace/editions/": ("", _manage),
        "workspace/editions/recompute/": ("", {"POST": "decide on index"}),
        "workspace/editions/close-round/": ("", {"GET": "decide on index", "POST": "decide on index"}),
        "workspace/editions/<int:pk>/": ("edition", _decide),
        "workspace/editions/<int:pk>/cancel/": ("edition", {"GET": "decide on index", "POST": "decide on index"}),
        "workspace/editions/<int:pk>/verify/": ("edition", {"POST": "decide on index"}),
        "workspace/editions/<int:pk>/results/": ("edition", _manage),
        "workspace/editions/<int:pk>/robustness/": ("edition", _manage),
        "workspace/editions/<int:pk>/coherence/": ("edition", _manage),
        "workspace/editions/<int:pk>/record/": ("edition", _manage),
        "workspace/editions/<int:pk>/pre-release/": ("edition", _decide),
        "workspace/editions/errata/<str:label>/": (
            "edition label",
            {"GET": "decide on index", "POST": "decide on index"},
        ),
        "workspace/pre-release/<str:label>/": ("edition label", {"GET": "read under embargo"}),
        "workspace/releases/": ("", _decide),
        "workspace/releases/<int:pk>/": ("release", _decide),
        "workspace/methodologies/": ("", _decide),
        "workspace/methodologies/<str:version>/": ("methodology", _decide),
        "workspace/methodologies/<str:version>/difference/": ("methodology", _manage),
        "workspace/methodologies/<str:version>/effect/": ("methodology", _decide),
        # what is done about it
        "interventions/": ("", P),
        "interventions/<int:pk>/": ("intervention", {"GET": "read intervention"}),
        # around
        "api/": ("", P),
        "api/docs/": ("", P),
        "api/schema/": ("", P),
        "style-guide/": ("", P),
        "healthz": ("", P),
        "readyz": ("", P),
        "api/v1/": ("", P),
        "api/v1/^returns/$": ("", {"GET": "read header", "POST": "create return"}),
        "api/v1/^returns/(?P<pk>[^/]+)/$": ("return", {"GET": "read header", "PATCH": "write return"}),
        "api/v1/^returns/(?P<pk>[^/]+)/receipt/$": ("return", {"GET": "read header"}),
        "api/v1/^units/$": ("", {"GET": "read frame numbers"}),
        "api/v1/^units/(?P<frame_id>[^/]+)/$": ("unit", {"GET": "read frame numbers"}),
        "api/v1/^clusters/$": ("", P),
        "api/v1/^clusters/(?P<code>[^/]+)/$": ("cluster", {"GET": "read cluster"}),
        "api/v1/^editions/$": ("", P),
        "api/v1/^editions/(?P<label>[^/]+)/$": ("edition label", {"GET": "read edition"}),
        "api/v1/^interventions/$": ("", P),
        "api/v1/^interventions/(?P<code>[^/]+)/$": ("intervention code", {"GET": "read intervention"}),
        "api/v1/^rankings/(?P<cluster>[^/]+)/$": ("cluster", {"GET": "read ranked cluster"}),
    }
    | {
        f"api/v1/^{name}/{key}$": (kind, P)
        for name, kind, keys in (
            ("regions", "region", "code"),
            ("sectors", "sector", "code"),
            ("associations", "association", "slug"),
            ("agencies", "agency", "slug"),
            ("rounds", "round", "year"),
            ("instruments", "instrument", "version"),
            ("questions", "question", "code"),
            ("indicators", "indicator", "code"),
            ("indicator-values", "value", "pk"),
            ("scores", "score", "pk"),
            ("releases", "release", "pk"),
            ("errata", "erratum", "pk"),
            ("revision-changes", "revision change", "pk"),
            ("schemes", "scheme", "slug"),
        )
        for key, kind in (("", ""), (f"(?P<{keys}>[^/]+)/", kind))
    }
    | {"api/v1/^rankings/$": ("", P)}
)
RIGHTS["read ranked cluster"] = "AN:published"

TYPED = {"draft", "review", "accepted", "association"}
LINKS = {"linked", "sealed", "shared"}
COLLECTIVE = {"cluster", "region"}


def scopes_of(right: str, code: str) -> set[str]:
    """The scopes that a role has of a right; what the stranger has, everybody has."""
    found = set()
    for part in RIGHTS[right].split():
        roles, _, scope = part.rpartition(":")
        if code in roles.split(",") or roles == "AN":
            found.add(scope)
    return found


def reach(right: str, code: str, tenant: str, labels: set[str]) -> set[str] | None:
    """The labels of `labels` that a role of a tenant may reach by a right; None where the right itself is missing."""
    scopes = scopes_of(right, code)
    if not scopes:
        return None
    found: set[str] = set()
    for scope in scopes:
        found |= {label for label in labels if _is_in(scope, code, tenant, label)}
    return found


def _is_in(scope: str, code: str, tenant: str, label: str) -> bool:
    side, _, what = label.partition(".")
    mine = side == tenant
    return {
        "all": True,
        "none": False,
        "public": side == "public",
        "published": side == "public" or what == "published",
        "own": mine,
        "typed": mine and what in TYPED,
        "typed_or_shared": mine and what in TYPED | {"shared"},
        "header": mine,
        "agency": mine,
        "collective": mine and what in COLLECTIVE,
        "all_collective": what in COLLECTIVE,
        "link": mine and what == "linked",
        "sender": mine and code == "AE" and what == "upload",
        "typed_unit": mine and what in TYPED - {"association"},
        "entries": mine and what == "entry",
        "staffs": mine and what == "staff",
        "people": what not in ("link", "client"),
        "granted": False,
        "listed": code == "VW" and what == "under_embargo",
    }[scope]


assert set(CODES) >= {
    code for text in RIGHTS.values() for part in text.split() for code in part.rpartition(":")[0].split(",")
}
assert TENANTS == ("a", "b")
