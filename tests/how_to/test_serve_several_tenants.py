"""Tenants with accounts of their own, as ``docs/how-to/serve-several-tenants.md`` has them."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client as TwilioClient

from tests.how_to.sites import curl, on_site
from tests.issued import decoded
from tests.prose import section
from tests.rows import add_key, new_secret, sid
from twilio_tokens.grants import Video
from twilio_tokens.issuing import issue_access_token
from twilio_tokens.models import Account, ChatService

PAGE = "docs/how-to/serve-several-tenants.md"


@on_site(PAGE)
def test_each_tenant_gets_tokens_of_its_own_account(user: User) -> None:
    from mysite.models import Company, Employee  # noqa: PLC0415 - only this site has it

    [ask] = section(PAGE, "One name for everybody", "sh")
    token = Token.objects.create(user=user).key
    secrets = {}
    for digit in "123":
        secrets[digit] = new_secret()
        account = Account.objects.create(name=digit, sid=sid("AC", digit))
        add_key(account, secret=secrets[digit])
        service = {"name": f"{digit}-support", "sid": sid("IS", digit), "is_default": True}
        ChatService.objects.create(account=account, **service)
        Company.objects.create(name=digit, twilio_account=account)

    response = curl(ask, TOKEN=token)
    assert (response.status_code, response.json()["code"]) == (503, "not_configured")
    employee = Employee.objects.create(user=user, company=Company.objects.get(name="2"))
    for digit in "23":
        employee.company = Company.objects.get(name=digit)
        employee.save()
        claims = decoded(curl(ask, TOKEN=token).json()["token"], secrets[digit])
        assert claims["sub"] == sid("AC", digit)
        assert claims["grants"]["chat"]["service_sid"] == sid("IS", digit)
    response = curl(ask.replace("{}", '{"service": "1-support"}'), TOKEN=token)
    assert (response.status_code, response.json()["code"]) == (400, "does_not_exist")


class NewSubaccount(TwilioHttpClient):
    """Twilio, when it is asked to create a subaccount and a key of it."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.secret, self.asked = secret, list[str]()

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        self.asked.append(f"{method} {url}")
        answer = {"sid": sid("AC", "5")}
        if url.endswith("/Keys.json"):
            answer = {"sid": sid("SK", "5"), "secret": self.secret}
        return Response(201, json.dumps(answer))


@on_site(PAGE)
def test_a_new_customer_gets_a_subaccount_that_signs(user: User, secret: str) -> None:
    from mysite.models import Employee  # noqa: PLC0415 - only this site has it
    from mysite.onboarding import welcome  # noqa: PLC0415 - likewise

    twilio = NewSubaccount(secret)
    company = welcome(TwilioClient(sid("AC"), "auth token", http_client=twilio), "Acme")
    Employee.objects.create(user=user, company=company)
    claims = decoded(issue_access_token(user=user, grants=[Video()]).token, secret)
    assert (claims["sub"], claims["iss"]) == (sid("AC", "5"), sid("SK", "5"))
    accounts = "https://api.twilio.com/2010-04-01/Accounts"
    subaccount = f"{accounts}/{sid('AC', '5')}"
    assert twilio.asked == [f"POST {accounts}.json", f"POST {subaccount}/Keys.json"]
