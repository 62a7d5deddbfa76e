"""Hostile input, and names that others have written."""

from __future__ import annotations

from . import Build

INPUT = "tests/security/test_hostile_input.py"
NAMES = "tests/security/test_hostile_names.py"

BUILDS = [
    Build(
        proof=f"{INPUT}::test_an_encoded_username_is_legal_everywhere_and_gives_the_username_back",
        file="identity.py",
        old='f"_{byte:02x}"',
        new='f"_{byte:x}"',
    ),
    Build(
        proof=f"{INPUT}::test_only_what_was_encoded_is_decoded",
        file="identity.py",
        old="    if _encode(decoded) != identity:\n",
        new="    if not decoded:\n",
    ),
    Build(
        proof=f"{INPUT}::test_an_identity_is_legal_or_refused[twilio_tokens.identity.username]",
        file="identity.py",
        old="    illegal = misleading(identity)\n",
        new="    illegal = None\n",
    ),
    Build(
        proof=f"{INPUT}::test_a_sid_is_its_prefix_and_32_hex_digits_and_nothing_else",
        file="sids.py",
        old="            if not _HEX.fullmatch(rest):\n",
        new="            if not _HEX.match(rest):\n",
    ),
    Build(
        proof=f"{INPUT}::test_a_secret_is_16_to_128_printable_characters_or_refused_unsaid",
        file="sids.py",
        old="    if not _SECRET.fullmatch(value):\n",
        new="    if not _SECRET.match(value):\n",
    ),
    Build(
        proof=f"{INPUT}::test_no_name_of_the_console_misleads",
        file="fields/names.py",
        old="    illegal = misleading(value)\n",
        new="    illegal = None\n",
    ),
    Build(
        proof=f"{INPUT}::test_a_sealed_secret_opens_as_it_was_and_in_no_other_form",
        file="crypto.py",
        old="PURPOSE, row.bytes, sid_bytes]",
        new="PURPOSE, sid_bytes]",
    ),
    Build(
        proof=(f"{INPUT}::test_any_text_in_the_place_of_a_sealed_one_is_damaged_and_no_error"),
        file="crypto.py",
        old='    except ValueError:\n        return b""\n',
        new='    except OverflowError:\n        return b""\n',
    ),
    Build(
        proof=f"{INPUT}::test_any_file_of_variables_is_read_or_refused",
        file="management/variables.py",
        old="    except UnicodeDecodeError:\n",
        new="    except OverflowError:\n",
    ),
    Build(
        proof=f"{INPUT}::test_no_problem_with_a_variable_tells_its_value",
        file="management/variables.py",
        old='problems.append(f"{variables[0].name}: {problem}")',
        new='problems.append(f"{variables[0].value}: {problem}")',
    ),
    Build(
        proof=f"{INPUT}::test_an_import_stores_all_or_nothing",
        file="management/commands/twilio_import_env.py",
        old="    with transaction.atomic(using=router.db_for_write(Account)):\n",
        new="    if transaction:\n",
    ),
    Build(
        proof=f"{INPUT}::test_any_text_is_decoded_or_no_token",
        file="token_text.py",
        old="    except (ValueError, RecursionError):\n        raise InvalidToken(\n",
        new="    except RecursionError:\n        raise InvalidToken(\n",
    ),
    Build(
        proof=f"{INPUT}::test_page_and_command_show_any_token_in_plain_characters",
        file="admin/decoded.py",
        old="visible(json.dumps(data, indent=2, ensure_ascii=False), has_lines=True)",
        new="json.dumps(data, indent=2, ensure_ascii=False)",
    ),
    Build(
        proof=f"{INPUT}::test_any_body_is_read_or_refused",
        file="grants/video.py",
        old="        elif illegal := misleading(self.room):\n",
        new='        elif illegal := "":\n',
    ),
    Build(
        proof=f"{INPUT}::test_any_json_is_answered_as_documented",
        file="serializers/requests.py",
        old='name.encode("utf-8", "backslashreplace").decode()[:100]',
        new="name[:100]",
    ),
    Build(
        proof=f"{INPUT}::test_any_bytes_are_answered_as_documented",
        file="parsers.py",
        old="        except UnicodeDecodeError:\n",
        new="        except OverflowError:\n",
    ),
    Build(
        proof="tests/security/test_schemathesis.py::test_the_example_does_what_its_document_says[anna]",
        file="serializers/requests.py",
        old="        if unknown:\n            raise ValidationError(unknown)\n",
        new="",
    ),
    Build(
        proof=f"{NAMES}::test_on_no_page_is_a_name_more_than_a_text[False]",
        file="admin/credential_admin.py",
        old='            instead["name"] = "name_in_list"\n',
        new="            pass\n",
    ),
    Build(
        proof=f"{NAMES}::test_no_test_token_shows_its_user_as_more_than_a_text",
        file="templates/admin/twilio_tokens/issuedtoken/test_token.html",
        old="<strong>{{ identity }}</strong>",
        new="<strong>{{ identity|safe }}</strong>",
    ),
    Build(
        proof=f"{NAMES}::test_what_no_database_stores_does_not_hinder_the_import",
        file="templates/admin/twilio_tokens/account/import.html",
        old='{{ entry.friendly_name|default:"–" }}',
        new="{{ entry.friendly_name|safe }}",
    ),
    Build(
        proof=f"{NAMES}::test_the_console_takes_no_name_that_misleads",
        file="characters.py",
        old='\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069"\n',
        new='"\n',
    ),
    Build(
        proof=f"{NAMES}::test_no_cell_is_a_formula",
        file="admin/audit_export.py",
        old='without_invisible(normalize("NFKD", text))',
        new="without_invisible(text)",
    ),
    Build(
        proof=f"{NAMES}::test_what_cannot_be_seen_stands_in_a_cell_as_its_number",
        file="admin/audit_export.py",
        old="visible(str(value))",
        new="str(value)",
    ),
    Build(
        proof=f"{NAMES}::test_no_command_prints_what_a_terminal_obeys",
        file="management/commands/twilio_verify.py",
        old="name: visible(str(value)) for",
        new="name: str(value) for",
    ),
]
