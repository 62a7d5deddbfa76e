"""Secrets, tokens and encryption keys where they can be read."""

from __future__ import annotations

from . import Build

PLACES = "tests/security/test_leaks.py::test_no_secret_no_token_and_no_encryption_key_is_to_be_read"
SENTRY = "tests/sites/test_sentry.py"
OUTCOMES = "tests/test_outcomes.py"

BUILDS = [
    # A secret
    Build(
        proof=f"{PLACES}[admin_pages]",
        file="fields/names.py",
        old="return text if text is not None and sids.is_shown(text.strip()) else None",
        new="return text",
    ),
    Build(
        proof=f"{PLACES}[history]",
        file="admin/saving_keys.py",
        old="    log(request, key, message)\n",
        new="    log(request, key, str(form.data))\n",
    ),
    Build(
        proof=f"{PLACES}[messages_and_sessions]",
        file="admin/keys.py",
        old="        super().save_model(request, obj, form, change)\n",
        new="        super().save_model(request, obj, form, change)\n"
        "        self.message_user(request, form.data['secret'])\n",
    ),
    Build(
        proof=f"{PLACES}[headers_and_redirects]",
        file="admin/replacing.py",
        old='HttpResponseRedirect(model_admin.address("changelist"))\n    if form.is_bound',
        new='HttpResponseRedirect("/admin/?" + form.data["secret"])\n    if form.is_bound',
    ),
    Build(
        proof=f"{PLACES}[logs]",
        file="signing.py",
        old="    secret = unseal(key.secret, row=key.id, sid=key.sid)\n",
        new="    secret = unseal(key.secret, row=key.id, sid=key.sid)\n"
        '    logger.debug("Signing with %s.", secret)\n',
    ),
    Build(
        proof=f"{PLACES}[command_output]",
        file="management/commands/twilio_import_env.py",
        old='self.lines.append(f"{outcome}: {row._meta.verbose_name} {row}")',
        new="self.lines.append(str([each.value for each in self.found.values()]))",
    ),
    Build(
        proof=f"{PLACES}[caches]",
        file="credentials.py",
        old="        if key.region != Region.US1:\n",
        new="        from .crypto import unseal\n"
        "        key.plaintext = unseal(key.secret, row=key.id, sid=key.sid)\n"
        "        if key.region != Region.US1:\n",
    ),
    Build(
        proof=f"{PLACES}[objects_in_memory]",
        file="fields/sealed.py",
        old="            setattr(model_instance, self.attname, sealed)\n",
        new="            setattr(model_instance, self.attname, sealed)\n"
        "            model_instance.plaintext = plaintext\n",
    ),
    Build(
        proof="tests/security/test_leaks_files.py::"
        "test_neither_the_database_nor_its_journal_nor_its_freed_pages_hold_plaintext[persist]",
        file="admin/keys.py",
        old="            obj.forget_check()\n",
        new='            obj.forget_check()\n            obj.check_message = form.data["secret"]\n',
    ),
    Build(
        proof=f"{SENTRY}::test_nor_does_the_command_that_imports_it[private]",
        site="sentry",
        file="management/commands/twilio_import_env.py",
        old="        key: APIKey | None = _rows(APIKey).filter(sid=sid).first()\n        if",
        new="        key: APIKey | None = _rows(APIKey).filter(sid=sid).first()\n"
        "        plaintext = secret.value\n        if",
    ),
    Build(
        proof="tests/security/test_leaks_error_pages.py::"
        "test_nor_does_a_key_that_fails_to_be_saved[before_saving]",
        file="error_reports.py",
        old="    site_filter: Any = type(get_exception_reporter_filter(request))\n",
        new="    return\n    site_filter: Any = type(get_exception_reporter_filter(request))\n",
    ),
    Build(
        proof="tests/test_error_reports.py::"
        "test_who_asks_the_filter_about_a_field_by_its_name_is_told_to_hide_it[sid]",
        file="error_reports.py",
        old="|^(?:.*-)?sid$",
        new="",
    ),
    # Its ciphertext, where nobody needs it
    Build(
        proof=f"{PLACES}[model_serializers]",
        file="crypto.py",
        old='        return "• • • hidden • • •"\n',
        new="        return self.text\n",
    ),
    Build(
        proof="tests/sites/test_auditlog.py::test_it_has_ciphertext_only_and_shows_not_even_that",
        site="auditlog",
        file="crypto.py",
        old='        return "• • • hidden • • •"\n',
        new="        return self.text\n",
    ),
    # What is told of tokens and refusals
    Build(
        proof=f"{OUTCOMES}::test_neither_a_token_nor_a_secret_nor_parameters_are_told",
        file="outcomes.py",
        old="                jti=token.jti,\n",
        new="                jti=vars(token)['token'],\n",
    ),
    Build(
        proof=f"{OUTCOMES}::test_the_hash_cannot_be_told_without_the_secret_key",
        file="outcomes.py",
        old="salted_hmac(__name__, identity, algorithm=",
        new="salted_hmac(__name__, identity, secret='', algorithm=",
    ),
    Build(
        proof=f"{OUTCOMES}::test_a_code_of_the_sites_own_does_not_break_a_line",
        file="outcomes.py",
        old="            shown = visible(code)\n",
        new="            shown = code\n",
    ),
    Build(
        proof=f"{OUTCOMES}::test_what_cannot_be_seen_in_an_identity_is_shown",
        file="outcomes.py",
        old="        return visible(identity)\n",
        new="        return identity\n",
    ),
    # A token
    Build(
        proof=f"{PLACES}[issued_tokens]",
        file="issuing.py",
        old="    token: str = field(repr=False)\n",
        new="    token: str\n",
    ),
    Build(
        proof=f"{PLACES}[rows]",
        file="issuing.py",
        old="        grants={\n            grant.product: grant.to_audit",
        new='        grants={"jwt": issued.token}\n        | {\n'
        "            grant.product: grant.to_audit",
    ),
    Build(
        proof=f"{PLACES}[api_answers]",
        file="error_answers.py",
        old="    response.data = answer\n",
        new='    answer["sent"] = str(context["request"].data)\n    response.data = answer\n',
    ),
    Build(
        proof="tests/test_sids.py::"
        "test_a_name_that_holds_a_secret_is_told_from_names_that_people_give",
        file="sids.py",
        old="bool(_JWT.search(text)) or ",
        new="",
    ),
    Build(
        proof=f"{SENTRY}::"
        "test_no_step_of_issuing_tells_of_the_secret_the_token_or_a_key[private-signing]",
        site="sentry",
        file="signing.py",
        old="        return None\n",
        new="        raise\n",
    ),
    Build(
        proof="tests/test_browsable_api.py::"
        "test_a_report_of_what_a_page_is_made_of_does_not_show_the_token",
        file="renderers.py",
        old="    __repr__ = object.__repr__\n",
        new="    __repr__ = str.__repr__\n",
    ),
    Build(
        proof="tests/test_checks_debug_toolbar.py::test_a_history_of_what_is_posted_is_told",
        file="checks/error_reports.py",
        old="    if not is_shown or",
        new="    if is_shown or",
    ),
    # An encryption key
    Build(
        proof=f"{PLACES}[command_output]",
        file="crypto.py",
        old="position=position,",
        new="position=text,",
    ),
]
