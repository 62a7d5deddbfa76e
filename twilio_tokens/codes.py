"""The codes of refusals: counters must not grow with whatever clients send."""

from __future__ import annotations

from collections.abc import Iterable

from .grants import registered

#: For a site's own codes, and for products that are not registered.
OTHER = "other"

_OF_REQUESTS = """
    account_mismatch audit_unavailable authentication_failed error identity_not_allowed
    method_not_allowed not_acceptable not_authenticated not_configured not_found parse_error
    permission_denied secret_unavailable throttle_unavailable throttled unsupported_media_type
"""
_OF_FIELDS = """
    blank does_not_exist invalid invalid_choice max_length max_string_length max_value min_value
    null null_characters_not_allowed required surrogate_characters_not_allowed unknown_field
"""
#: Codes of the page for test tokens.
_OF_USERS = "ambiguous more_rights"
CODES = frozenset(f"{_OF_REQUESTS} {_OF_FIELDS} {_OF_USERS}".split())


def known(code: str) -> str:
    return code if code in CODES else OTHER


def known_products(products: Iterable[str]) -> set[str]:
    return {each if each in registered() else OTHER for each in products}
