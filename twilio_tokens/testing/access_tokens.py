"""An independent verifier of Access Tokens: PyJWT and Twilio's documentation, and nothing of what
this app signs and decodes tokens with.

Errors are those of https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import jwt

LONGEST_TTL = 86_400
HEADER = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}


class _Product(NamedTuple):
    #: Where the grant has which kind of SID, and whether it needs one.
    sids: dict[str, tuple[str, bool]] = {}
    longest_identity: int | None = None
    illegal_identity: int = 0
    missing_identity: int = 0


_PRODUCTS = {
    "video": _Product({}, 128, 53200, 53200),
    "chat": _Product(
        {"service_sid": ("IS", True), "push_credential_sid": ("CR", False)}, 256, 51003, 51007
    ),
    "voice": _Product(
        {"outgoing.application_sid": ("AP", False), "push_credential_sid": ("CR", False)},
        121,
        31105,
        51007,
    ),
    "data_sync": _Product({"service_sid": ("IS", True)}, 256, 54351, 51007),
    "task_router": _Product({"workspace_sid": ("WS", True), "worker_sid": ("WK", True)}),
}

#: What the API calls them, where a token has another name.
_NAMES_IN_TOKENS = {"sync": "data_sync", "taskrouter": "task_router"}


def assert_access_token(
    token: str,
    secret: str,
    *,
    identity: str | None = None,
    grants: Collection[str] | Mapping[str, Mapping[str, Any]] | None = None,
    room: str | None = None,
    account_sid: str | None = None,
    key_sid: str | None = None,
    ttl: int | None = None,
) -> dict[str, Any]:
    """Its claims, if Twilio would accept the token, and if it says what you expect.

    ``secret`` is the plaintext of the API key's secret. ``grants`` are all products of the token:
    their names, or for each name the grant. Raises ``AssertionError`` with everything that is
    wrong; its message has neither the token nor the secret.
    """
    __tracebackhide__ = True
    try:
        read = jwt.decode_complete(token, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise AssertionError(f"Twilio error 20101: this is not a JWT. {error}") from None
    header: dict[str, Any] = read["header"]
    claims: dict[str, Any] = read["payload"]
    given = claims.get("grants")
    given = given if isinstance(given, dict) else {}
    problems = [
        *_header_problems(header),
        *_party_problems(claims),
        *_signature_problems(token, secret, header),
        *_time_problems(claims),
        *_grant_problems(given),
        *_identity_problems(given),
    ]
    lines = [f"Twilio error {code}: {problem}" for code, problem in problems]
    expected = {"iss": key_sid, "sub": account_sid}
    lines += [
        f"Expected {name} {value!r}, not {claims.get(name)!r}."
        for name, value in expected.items()
        if value is not None and claims.get(name) != value
    ]
    lines += _unexpected(claims, given, identity=identity, grants=grants, room=room, ttl=ttl)
    if lines:
        raise AssertionError("\n".join(lines))
    return claims


def _unexpected(
    claims: Mapping[str, Any],
    given: Mapping[str, Any],
    *,
    identity: str | None,
    grants: Collection[str] | Mapping[str, Mapping[str, Any]] | None,
    room: str | None,
    ttl: int | None,
) -> Iterator[str]:
    """What Twilio would accept, but the test does not."""
    if identity is not None and given.get("identity") != identity:
        yield f"Expected the identity {identity!r}, not {given.get('identity')!r}."
    if grants is not None:
        yield from _unexpected_grants(given, grants)
    if room is not None:
        in_token = _at(given, "video.room")
        if in_token is None:
            which = "any room" if "video" in given else "no room"
            yield f"Expected the room {room!r}, but the token opens {which}."
        elif in_token != room:
            yield f"Expected the room {room!r}, not {in_token!r}."
    if ttl is not None:
        issued_at, expires_at = _seconds(claims.get("iat")), _seconds(claims.get("exp"))
        lives = None if issued_at is None or expires_at is None else expires_at - issued_at
        if lives != ttl:
            yield f"Expected a lifetime of {ttl} seconds from iat to exp, not {lives}."


def _unexpected_grants(
    given: Mapping[str, Any], grants: Collection[str] | Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    wanted = {_NAMES_IN_TOKENS.get(name, name) for name in grants}
    if wanted != (products := given.keys() - {"identity"}):
        yield f"Expected grants for {_listed(wanted)}, not for {_listed(products)}."
    for name, payload in grants.items() if isinstance(grants, Mapping) else ():
        in_token = _NAMES_IN_TOKENS.get(name, name)
        if in_token in given and given[in_token] != payload:
            yield f"Expected the grant {in_token} to be {payload!r}, not {given[in_token]!r}."


def _header_problems(header: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for name, value in HEADER.items():
        if header.get(name) != value:
            yield 20102, f"the header has {name} {header.get(name)!r}, not {value!r}."
    if header.get("twr", "us1") != "us1":
        yield 51007, f"the header names the region {header['twr']!r} (twr), not 'us1'."


def _party_problems(claims: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    for name, prefix, label in (("iss", "SK", "an API key"), ("sub", "AC", "an Account")):
        if not _is_sid(claims.get(name), prefix):
            yield 20103, f"{name} {claims.get(name)!r} is not the SID of {label} ({prefix}…)."


def _signature_problems(
    token: str, secret: str, header: Mapping[str, Any]
) -> Iterator[tuple[int, str]]:
    if header.get("alg") != "HS256":
        return  # which is the header's problem
    try:
        # PyJWT warns of secrets shorter than Twilio's, which a test may well have.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            jwt.PyJWS().decode(token, secret, algorithms=["HS256"])
    except (jwt.InvalidTokenError, jwt.InvalidKeyError):
        yield 20107, "this secret did not make the signature, or the token was changed since."


def _time_problems(claims: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    now = time.time()
    times = {name: _seconds(claims.get(name)) for name in ("iat", "nbf", "exp")}
    for name, code in (("iat", 20101), ("nbf", 20101), ("exp", 20104)):
        if times[name] is None and (name in claims or name == "exp"):
            yield code, f"{name} {claims.get(name)!r} is not a time in seconds since 1970."
    for name in ("iat", "nbf"):
        at = times[name]
        if at is not None and at > now:
            yield 20105, f"the token is not valid yet: {name} is {at - now:.0f} seconds ahead."
    expires_at = times["exp"]
    if expires_at is None:
        return
    if expires_at <= now:
        yield 20104, f"the token expired {now - expires_at:.0f} seconds ago."
    start = next((at for at in (times["iat"], times["nbf"]) if at is not None), now)
    if expires_at - start > LONGEST_TTL:
        yield 20157, f"the token lives for {expires_at - start:.0f} seconds; 86400 are allowed."


def _grant_problems(given: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    if not given.keys() - {"identity"}:
        yield 20106, "the token grants no product."
    for key, payload in given.items():
        if key != "identity" and not isinstance(payload, dict):
            yield 20106, f"the grant {key} is {payload!r}, not an object."
    for key, product in _products(given):
        for path, (prefix, is_needed) in product.sids.items():
            value = _at(given[key], path)
            if (value is not None or is_needed) and not _is_sid(value, prefix):
                yield 20106, f"{key}.{path} {value!r} is not a SID of its kind ({prefix}…)."
    room = _at(given, "video.room")
    if room is not None and not (isinstance(room, str) and room):
        yield 20106, f"video.room {room!r} is not the name of a room."
    allow = _at(given, "voice.incoming.allow")
    if allow is not None and not isinstance(allow, bool):
        yield 20106, f"voice.incoming.allow {allow!r} is not a boolean."
    if "task_router" in given and _at(given, "task_router.role") not in ("worker", "supervisor"):
        yield 20106, "task_router.role is neither 'worker' nor 'supervisor'."


def _identity_problems(given: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    identity = given.get("identity")
    for key, product in _products(given):
        if product.longest_identity is None:
            continue
        if not isinstance(identity, str) or not identity:
            yield product.missing_identity, f"{key} needs an identity, not {identity!r}."
            continue
        if key == "voice" and (illegal := re.search(r"[^A-Za-z0-9_]", identity)):
            allowed = "letters A–Z and a–z, digits and _"
            yield 31105, f"a Voice identity has {allowed}; {identity!r} has {illegal[0]!r}."
        length = len(identity)
        if key == "video":  # https://www.twilio.com/docs/api/errors/53200
            length += sum(not char.isascii() for char in identity)
        if length > product.longest_identity:
            most = f"at most {product.longest_identity} characters"
            yield product.illegal_identity, f"{key} takes an identity of {most}, not of {length}."


def _products(given: Mapping[str, Any]) -> Iterator[tuple[str, _Product]]:
    """Those that Twilio has; a site may have others."""
    return ((key, _PRODUCTS[key]) for key in given if key in _PRODUCTS)


def _at(value: object, path: str) -> Any:  # noqa: ANN401 - whatever the token has there
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_sid(value: object, prefix: str) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(f"{prefix}[0-9a-fA-F]{{32}}", value))


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
