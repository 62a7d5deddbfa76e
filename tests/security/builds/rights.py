"""Who may do and see what."""

from __future__ import annotations

from . import Build

API = "tests/security/test_who_may_api.py"
CONSOLE = "tests/security/test_who_may.py"
A_PRODUCT = f"{API}::test_a_products_page_gives_each_person_what_the_table_says"
A_PAGE = f"{CONSOLE}::test_each_page_gives_each_person_what_the_table_says"

BUILDS = [
    Build(  # memberships are remembered
        proof=f"{A_PRODUCT}[sync-its page]",
        file="credentials.py",
        old="return _group_ids_of(self.user)",
        new='return self._cached(("of", self.user.pk), lambda: _group_ids_of(self.user))',
    ),
    Build(  # superusers need no group
        proof=f"{A_PRODUCT}[chat-its page]",
        file="credentials.py",
        old="        return not entry.group_ids.isdisjoint(",
        new='        return getattr(self.user, "is_superuser", False) or '
        "not entry.group_ids.isdisjoint(",
    ),
    Build(  # a tenant is given what it names
        proof=f"{A_PRODUCT}[taskrouter-its page]",
        file="credentials.py",
        old="        if self.tenant is not None and entry.resource.account_id != self.tenant.pk:\n",
        new="        if False:\n",
    ),
    Build(  # what is not permitted has an error of its own
        proof=f"{API}::test_what_is_not_for_a_person_is_answered_as_if_it_were_not_there[chat]",
        file="credentials.py",
        old="        if entry is None or entry.resource.name != name or",
        new="        if entry and not self._permits(entry):\n"
        "            raise AccountMismatch\n"
        "        if entry is None or entry.resource.name != name or",
    ),
    Build(  # the page of what another account's are asked for
        proof=f"{A_PAGE}[account]",
        file="admin/importing.py",
        old="    if not (models and model_admin.has_view_permission(request, account)):\n",
        new="    if not models:\n",
    ),
    Build(  # adding is enough to change
        proof=f"{A_PAGE}[account]",
        file="admin/importing.py",
        old="not of_model.has_change_permission(request, entry.stored)",
        new="not of_model.has_add_permission(request)",
    ),
    Build(  # adding is enough to retire
        proof=f"{A_PAGE}[apikey]",
        file="admin/replacing.py",
        old="    may_change = model_admin.has_change_permission(request, key)\n",
        new="    may_change = True\n",
    ),
    Build(  # who may see no row is told which there are
        proof=f"{A_PAGE}[issuedtoken]",
        file="admin/page.py",
        old="        if not self.has_view_or_change_permission(request):\n",
        new="        if False:\n",
    ),
    Build(
        proof=f"{A_PAGE}[pushcredential]",
        file="admin/credential_admin.py",
        old='        return request.user.has_perm("twilio_tokens.verify_credentials")\n',
        new='        return request.user.has_perm("twilio_tokens.view_apikey")\n',
    ),
    Build(
        proof=f"{CONSOLE}::test_a_page_shows_each_person_what_the_table_says",
        file="admin/overview.py",
        old='    if not (_may(user, "view", Account) and _may(user, "view", APIKey)):\n',
        new="    if False:\n",
    ),
    Build(  # a page that nobody has thought of
        proof=f"{CONSOLE}::test_no_page_and_no_action_is_missing_in_the_tables",
        file="admin/accounts.py",
        old='        return [self.url("<path:object_id>/import/", self.import_view, "import")]\n',
        new='        pages = ("import", "new")\n'
        '        return [self.url(f"<path:object_id>/{x}/", self.import_view, x) for x in pages]\n',
    ),
    Build(
        proof=f"{API}::test_no_address_and_no_method_of_the_api_is_missing_in_the_tables",
        file="urls.py",
        old='        path("tokens/", viewset.as_view(actions), name="tokens"),\n',
        new='        path("tokens/", viewset.as_view(actions), name="tokens"),\n'
        '        path("all/", viewset.as_view(actions), name="all"),\n',
    ),
    Build(
        proof="tests/security/test_on_the_wire.py::test_no_answer_of_the_app_may_be_stored",
        file="views.py",
        old='            "Cache-Control": "no-store",\n',
        new="",
    ),
]
