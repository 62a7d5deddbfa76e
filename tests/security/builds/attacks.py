"""What attackers would like to find."""

from __future__ import annotations

from . import Build

API = "tests/security/test_attacks.py"
TEXT = "tests/security/test_attacks_by_text.py"
CONSOLE = "tests/security/test_attacks_console.py"

BUILDS = [
    Build(  # no signature is a good one
        proof=f"{API}::test_no_forged_token_is_taken_for_a_good_one",
        file="decoding.py",
        old="    return hmac.compare_digest(",
        new="    return not signature or hmac.compare_digest(",
    ),
    Build(  # a header says that nothing is asked for
        proof=f"{API}::test_no_header_and_no_field_makes_a_request_one_of_another_method",
        file="throttles.py",
        old='request.method == "OPTIONS" or',
        new='"OPTIONS" in (request.method, request.headers.get("X-HTTP-Method")) or',
    ),
    Build(
        proof=f"{API}::test_a_foreign_page_gets_no_token_by_the_cookie",
        file="views.py",
        old="        made = super().initialize_request(request, *args, **kwargs)\n",
        new="        request._dont_enforce_csrf_checks = True\n"
        "        made = super().initialize_request(request, *args, **kwargs)\n",
    ),
    Build(
        proof=f"{API}::test_a_foreign_page_gets_no_token_by_the_cookie",
        file="views.py",
        old='"Cache-Control": "no-store",',
        new='"Cache-Control": "private",',
    ),
    Build(  # a bare token runs as a script of another origin
        proof="tests/test_renderers.py::test_no_answer_may_be_run_as_a_script",
        file="views.py",
        old='            "X-Content-Type-Options": "nosniff",\n',
        new="",
    ),
    Build(  # an error ends as a token
        proof="tests/test_renderers.py::test_no_error_ends_as_a_token",
        file="renderers.py",
        old='getattr(response, "exception", False)',
        new="False",
    ),
    Build(  # a blocked user calls on
        proof="tests/test_identity.py::test_a_blocked_user_is_not_found",
        file="identity.py",
        old="if user.is_active and _is_called",
        new="if _is_called",
    ),
    Build(
        proof=f"{API}::test_no_answer_names_a_host_that_a_header_made_up",
        file="views.py",
        old='self.request.build_absolute_uri(f"{product}/")',
        new='self.request.headers.get("X-Forwarded-Host", "") + f"/{product}/"',
    ),
    Build(
        proof=f"{API}::test_no_number_breaks_a_request_a_page_or_the_decoder",
        file="admin/product_fields.py",
        old="        except (ValueError, RecursionError):\n",
        new="        except (json.JSONDecodeError, RecursionError):\n",
    ),
    Build(
        proof=f"{API}::test_a_poisoned_cache_leads_neither_to_an_error_nor_past_the_limit",
        file="throttles.py",
        old="except Exception as error:  # whatever the client of the site's cache raises",
        new="except Exception:\n            return True\n        except RuntimeError as error:",
    ),
    Build(
        proof=f"{TEXT}::test_nobody_writes_a_line_of_the_log",
        file="exceptions.py",
        old="return visible(str(self.lazy_reason))",
        new="return str(self.lazy_reason)",
    ),
    Build(
        proof=f"{TEXT}::test_a_double_of_a_name_is_another_identity",
        file="identity.py",
        old="    return _encode(username(user))\n",
        new="    return _encode(username(user).casefold())\n",
    ),
    Build(
        proof=f"{TEXT}::test_no_crafted_text_keeps_a_worker_busy",
        file="sids.py",
        old=r"(?:[A-Z]*[a-z]{2,}(?![a-z]))*(?:[A-Z]{2,})?",
        new=r"([A-Z]?[a-z]{2,}|[A-Z]{2,})+",
    ),
    Build(
        proof=f"{CONSOLE}::test_a_foreign_page_changes_nothing_in_the_console",
        file="admin/tokens.py",
        old="        pages: dict",
        new="        IssuedTokenAdmin.test_view.csrf_exempt = True\n        pages: dict",
    ),
    Build(
        proof=f"{CONSOLE}::test_no_page_lets_itself_be_framed",
        file="admin/page.py",
        old="    return TemplateResponse(",
        new="    TemplateResponse.xframe_options_exempt = True\n    return TemplateResponse(",
    ),
    Build(
        proof=f"{CONSOLE}::test_no_parameter_leads_off_the_site",
        file="admin/importing.py",
        old="HttpResponseRedirect(request.get_full_path())",
        new='HttpResponseRedirect(request.POST.get("next") or request.path)',
    ),
    Build(
        proof=f"{CONSOLE}::test_a_form_takes_no_field_that_it_does_not_show",
        file="admin/resources.py",
        old="        super().save_model(request, obj, form, change)\n",
        new='        obj.check_message = request.POST.get("check_message", "")\n'
        "        super().save_model(request, obj, form, change)\n",
    ),
    Build(
        proof=f"{CONSOLE}::test_a_replacement_stays_in_the_account_of_the_key_that_it_replaces",
        file="admin/forms.py",
        old='        fields = ("name", "sid", "region", "secret")\n',
        new='        fields = ("account", "name", "sid", "region", "secret")\n',
    ),
    Build(
        proof=f"{CONSOLE}::test_a_popup_hands_back_no_field_of_the_senders_choice",
        file="admin/saving_keys.py",
        old="    if to_field and not model_admin.to_field_allowed(request, to_field):\n",
        new="    if False:\n",
    ),
    Build(
        proof=f"{CONSOLE}::test_no_filter_asks_about_a_secret_or_a_password",
        file="admin/tokens.py",
        old='    search_fields = ("identity", "jti")\n',
        new='    search_fields = ("identity", "jti")\n    lookup_allowed = lambda *args: True\n',
    ),
    Build(
        proof=f"{CONSOLE}::test_no_search_and_no_order_goes_by_a_secret",
        file="admin/accounts.py",
        old='    search_fields = ("name", "sid")\n',
        new='    search_fields = ("name", "sid", "api_keys__issued_tokens__user__password")\n',
    ),
]
