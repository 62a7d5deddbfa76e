"""Who gets a token, and for how long."""

from __future__ import annotations

from . import Build

BUILDS = [
    Build(
        proof="tests/test_issuing.py::test_other_lifetimes_are_refused",
        file="issuing.py",
        old="    if ttl > longest:\n",
        new="    if ttl > longest * 2:\n",
    ),
    Build(
        proof="tests/test_grants_voice.py::test_a_site_may_take_no_parameters",
        file="grants/voice.py",
        old="            return policy\n",
        new="            return True\n",
    ),
    Build(
        proof="tests/test_grants_voice.py::test_only_true_is_a_yes",
        file="grants/voice.py",
        old="dict(self.params or {})) is True",
        new="dict(self.params or {}))",
    ),
    Build(
        proof="tests/test_grants_voice.py::test_what_the_function_does_to_the_parameters_is_not_signed",
        file="grants/voice.py",
        old="dict(self.params or {})) is True",
        new="self.params) is True",
    ),
    Build(
        proof="tests/test_issuing.py::test_a_token_is_as_twilio_documents_it",
        file="signing.py",
        old='            "iat": issued_at,\n',
        new='            "iat": issued_at,\n            "nbf": issued_at,\n',
    ),
    Build(
        proof="tests/test_issuing.py::test_ten_thousand_tokens_of_one_second_have_ten_thousand_ids",
        file="issuing.py",
        old="jti = token_hex(16)",
        new="jti = str(issued_at)",
    ),
    Build(
        proof="tests/test_issuing.py::test_only_active_users_get_a_token",
        file="issuing.py",
        old='        and getattr(user, "is_active", False)\n',
        new="",
    ),
    Build(
        proof="tests/test_issuing.py::test_the_identity_must_suit_every_product",
        file="identity.py",
        old="each.identity_rule.check(identity, each.label)",
        new="pass",
    ),
    Build(
        proof="tests/test_issuing.py::test_one_token_never_mixes_accounts",
        file="credentials.py",
        old="raise AccountMismatch",
        new="pass",
    ),
    Build(
        proof="tests/test_issuing.py::test_a_tenant_has_its_own_account_only",
        file="credentials.py",
        old="if self.tenant is not None and entry.resource.account_id != self.tenant.pk:",
        new="if False:",
    ),
    Build(
        proof="tests/test_issuing.py::test_a_restricted_service_is_for_members_only",
        file="credentials.py",
        old="return not entry.group_ids.isdisjoint(self._group_ids)",
        new="return True",
    ),
    Build(
        proof="tests/test_credentials.py::test_memberships_are_asked_for_in_each_request",
        file="credentials.py",
        old="def _group_ids_of(holder: object)",
        new='@__import__("functools").lru_cache\ndef _group_ids_of(holder: object)',
    ),
    Build(
        proof="tests/test_issuing.py::test_the_room_policy_says_yes_with_true_and_nothing_else",
        file="grants/video.py",
        old="if answer is not True:",
        new="if not answer:",
    ),
    Build(
        proof="tests/test_grants_video.py::test_a_token_ends_with_the_meeting",
        file="issuing.py",
        old="*(int(end.timestamp()) for end in plan.ends)",
        new="",
    ),
    Build(
        proof="tests/test_views.py::test_a_room_may_be_required",
        file="grants/video.py",
        old="            if settings.room_required:\n",
        new="            if False:\n",
    ),
    Build(
        proof="tests/test_issuing.py::test_incoming_calls_cannot_be_had_where_the_app_forbids_them",
        file="grants/voice.py",
        old='if self.incoming and not resources["app"].allow_incoming:',
        new="if False:",
    ),
    Build(
        proof="tests/test_serializers.py::test_an_unknown_field_is_refused",
        file="serializers/requests.py",
        old='errors.setdefault(where, []).append(ErrorDetail(message, "unknown_field"))',
        new="pass",
    ),
    Build(
        proof="tests/test_views.py::test_all_503_of_one_code_are_alike_and_the_reason_is_in_the_log",
        file="error_answers.py",
        old="drf.APIException(error.message, error.code)",
        new='drf.APIException(getattr(error, "reason", error.message), error.code)',
    ),
    Build(
        proof="tests/test_views.py::test_a_record_that_a_receiver_prevents_is_no_token",
        file="issuing.py",
        old="            raise AuditUnavailable(\n",
        new="            return record\n            raise AuditUnavailable(\n",
    ),
    Build(
        proof="tests/test_views.py::test_one_must_be_signed_in",
        file="views.py",
        old="permission_classes = [IsAuthenticated]",
        new="permission_classes = []",
    ),
]
