"""The permission matrix as people read it: a line for each action, a word for each scope, and what the words mean."""

import inspect

from django.conf import settings
from django.utils.module_loading import import_string

from core import policy
from core.policy import Role, Scope

TITLE = """# Who may what

What the program asks before every page, address, file and act. Made from the rows in each app's `permissions.py` by
`python manage.py permission_matrix --write`; a test holds the two together. What no row names is refused, to everybody.
*anonymous* is everybody, signed in or not. *link* is the holder of one unit's personal link. Out of scope is 404, the
same as for a record that does not exist; a missing right is 403; without sign-in a page leads to the sign-in page and
the API answers 401.
"""


def name_of(scope: Scope) -> str:
    """The word for a scope: its function's name; of one made by a function, that function's."""
    name = getattr(scope, "__qualname__", type(scope).__name__).split(".<locals>")[0]
    return "all" if scope is policy.ALL else name.replace("_", " ")


def meaning_of(scope: Scope) -> str:
    """What a scope covers: the first line of its function's words, empty where it has none."""
    home = inspect.getmodule(scope)
    outer = getattr(home, getattr(scope, "__qualname__", "").split(".")[0], scope)
    return (inspect.getdoc(outer) or "").partition("\n")[0]


def rows_of(row: dict[Role, Scope]) -> str:
    """`head, entry: own return · analyst: all`, in the order of the roles."""
    roles: dict[str, list[str]] = {}
    for role in Role:
        if role in row:
            roles.setdefault(name_of(row[role]), []).append(role.value)
    return " · ".join(f"{', '.join(who)}: *{scope}*" for scope, who in roles.items())


def as_markdown() -> str:
    """The whole matrix as a page."""
    parts, scopes = [TITLE], {}
    for module in settings.POLICY_MODULES:
        matrix = import_string(f"{module}.MATRIX")
        about = (inspect.getdoc(import_string(module)) or module).partition("\n")[0]
        parts.append(f"## {about}\n\n| action | who: what |\n| --- | --- |")
        parts[-1] += "".join(f"\n| `{action}` | {rows_of(row)} |" for action, row in matrix.items()) + "\n"
        scopes |= {name_of(scope): meaning_of(scope) for row in matrix.values() for scope in row.values()}
    words = "\n".join(f"* *{name}*: {meaning}" for name, meaning in sorted(scopes.items()) if meaning)
    return "\n".join([*parts, "## What the words cover\n", words, ""])
