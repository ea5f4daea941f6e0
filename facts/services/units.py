"""Identities of units, which lie in the vault apart from their answers."""

from collections.abc import Mapping

from facts.vault import store


def keep_identities(identities: Mapping[int, Mapping[str, str]]) -> None:
    """Seal who each unit is, by unit id: name, address, telephone, registration_number. Over earlier ones."""
    store.put_identities({pk: dict(identity) for pk, identity in identities.items()})
