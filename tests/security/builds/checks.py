"""System checks that find nothing, and identities that change hands."""

from __future__ import annotations

from . import Build

KEYS = "tests/test_checks_encryption_keys.py::"
VIEWS = "tests/test_checks_views.py::"
IDENTITIES = "tests/test_checks_identities.py::"

BUILDS = [
    Build(
        proof=f"{KEYS}test_a_key_made_from_the_secret_key_is_told[sha256 with a prefix]",
        file="checks/encryption_keys.py",
        old="        yield digest(salt + separator + seed)\n",
        new="",
    ),
    Build(
        proof=f"{KEYS}test_each_key_is_compared_with_each_secret_key_and_named_by_its_position",
        file="checks/encryption_keys.py",
        old="(current, *django_settings.SECRET_KEY_FALLBACKS)",
        new="(current,)",
    ),
    Build(
        proof=f"{KEYS}test_a_key_that_somebody_thought_up_is_told",
        file="crypto.py",
        old=" and not _TEXT.fullmatch(material)",
        new="",
    ),
    Build(
        proof=f"{KEYS}test_a_published_key_is_told",
        file="checks/encryption_keys.py",
        old="each in PUBLISHED or ",
        new="",
    ),
    Build(
        proof="tests/test_checks_fixtures.py"
        "::test_a_secret_in_plain_text_is_told_by_the_name_of_its_file[xml]",
        file="checks/fixtures.py",
        old=r"(?!\s*<) )",
        new=r"(?!.) )",
    ),
    Build(
        proof="tests/test_checks.py::test_a_cache_that_cannot_count_is_not_shared_or_may_hang_is_told",
        file="checks/caches.py",
        old="if _is_a(cache, LocMemCache)",
        new="if cache is LocMemCache",
    ),
    Build(
        proof=f"{VIEWS}test_a_view_that_lets_in_anybody_is_told",
        file="checks/views.py",
        old="for method in callback.actions:",
        new='for method in ("post",):',
    ),
    Build(
        proof=f"{VIEWS}test_a_view_without_a_limit_is_told",
        file="checks/views.py",
        old='if getattr(each, "rate", "its own") is not None',
        new="if each",
    ),
    Build(
        proof=f"{VIEWS}test_a_view_that_authenticates_nobody_is_told",
        file="checks/views.py",
        old="each.asks(TokenViewSet.get_authenticators) == []",
        new="each.asks(TokenViewSet.get_authenticators) is None",
    ),
    Build(
        proof=f"{VIEWS}test_a_pattern_that_matches_strangers_is_told",
        file="checks/web.py",
        old='        yield f"{scheme}{host}.{STRANGER}"\n',
        new="",
    ),
    Build(
        proof=f"{VIEWS}test_plain_http_is_told_where_nothing_says_https[CSRF_COOKIE_SECURE-True]",
        file="checks/web.py",
        old="    if any(getattr",
        new="    if not any(getattr",
    ),
    Build(
        proof=f"{IDENTITIES}test_the_default_is_told_until_it_is_chosen",
        file="checks/identities.py",
        old='if django_settings.is_overridden("TWILIO_TOKENS_IDENTITY"):',
        new="if True:",
    ),
    Build(
        proof=f"{IDENTITIES}test_usernames_that_are_not_one_persons_are_told",
        file="checks/identities.py",
        old="not (field.null or field.blank)",
        new="not field.null",
    ),
    Build(
        proof="tests/security/test_identities.py"
        "::test_a_primary_key_stays_with_its_user_and_goes_to_nobody_else",
        file="identity.py",
        old="    value = user._meta.pk.to_python(user.pk)\n",
        new="    value = user.get_username()\n",
    ),
    Build(
        proof="tests/security/test_identities.py"
        "::test_a_primary_key_is_taken_by_every_product_and_can_be_read_back",
        file="identity.py",
        old="else str(value))\n",
        new='else str(value).replace("-", ""))\n',
    ),
]
