"""The stand-in's page for a person's consent, and the tokens that come of it."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.unit.testing.graph.test_tokens import claims_of

if TYPE_CHECKING:
    from gatewayd.testing.graph import Graph
    from tests.unit.testing.graph.graph_client import Answer, Client

GRAPH, OUTLOOK = "https://graph.microsoft.com", "https://outlook.office365.com"
SCOPE = f"{GRAPH}/User.Read {GRAPH}/Mail.ReadWrite {OUTLOOK}/SMTP.Send offline_access"
REDIRECT = "http://localhost:50123"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


def opened(client: Client, **changed: str) -> Answer:
    """A person opens the link."""
    asked = {
        "client_id": client.app.client,
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": SCOPE,
        "state": "s&1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "login_hint": client.mailbox.address,
        **changed,
    }
    return client.raw("GET", f"/{client.app.tenant}/oauth2/v2.0/authorize?{urlencode(asked)}")


def ended_at(answer: Answer) -> dict[str, str]:
    """Return what the address has at which the browser ends."""
    assert answer.status == 302
    place, _, query = answer.headers["Location"].partition("?")
    assert place == REDIRECT
    return {name: value for name, (value,) in parse_qs(query).items()}


def redeemed(client: Client, code: str, **changed: str) -> Answer:
    fields = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER, "scope": f"{GRAPH}/User.Read", **changed}
    return client.post_token(grant_type="authorization_code", **fields)


def refreshed(client: Client, token: str, **changed: str) -> Answer:
    return client.post_token(grant_type="refresh_token", refresh_token=token, **{"scope": f"{GRAPH}/User.Read", **changed})


def refresh_token(client: Client) -> str:
    return str(redeemed(client, ended_at(opened(client))["code"]).json["refresh_token"])


def codes(answer: Answer) -> tuple[str, list[int]]:
    return answer.json["error"], answer.json["error_codes"]


def test_a_person_who_consents_lets_the_app_into_its_own_mailbox_alone(graph: Graph, client: Client) -> None:
    told = ended_at(opened(client))
    assert told["state"] == "s&1"
    answer = redeemed(client, told["code"])
    assert answer.json["scope"].split() == [f"{GRAPH}/Mail.ReadWrite", f"{GRAPH}/User.Read"]
    claims = claims_of(answer.json["access_token"])
    assert (claims["scp"], claims["oid"]) == ("Mail.ReadWrite User.Read", client.mailbox.id)
    assert "roles" not in claims
    client.token = answer.json["access_token"]
    client.mailbox.aliases = ["info@acme.example"]
    assert client.get("/v1.0/me").json == {
        "id": client.mailbox.id,
        "mail": "ops@acme.example",
        "userPrincipalName": "ops@acme.example",
        "proxyAddresses": ["SMTP:ops@acme.example", "smtp:info@acme.example"],
    }
    assert client.get("/v1.0/me?$select=id").json == {"id": client.mailbox.id}
    assert client.get("/v1.0/me/mailFolders/inbox").status == client.get("mailFolders/inbox").status == 200
    other = graph.add_mailbox("other@acme.example")
    assert client.get(f"/v1.0/users/{other.id}/mailFolders/inbox").code == "ErrorAccessDenied"
    # It has not asked for this.
    assert client.post("sendMail", {}).code == "ErrorAccessDenied"


def test_an_apps_own_token_is_nobodys(client: Client) -> None:
    assert "delegated" in client.get("/v1.0/me").json["error"]["message"]
    assert client.get("").code == "ErrorAccessDenied"
    client.app.roles.add("User.Read.All")
    assert client.log_in().get("").json["id"] == client.mailbox.id


def test_a_refresh_token_gives_tokens_for_each_api_and_another_refresh_token(client: Client) -> None:
    first = refresh_token(client)
    answer = refreshed(client, first, scope=f"{OUTLOOK}/SMTP.Send")
    assert claims_of(answer.json["access_token"])["aud"] == OUTLOOK
    second = answer.json["refresh_token"]
    assert second != first
    # As Microsoft does; the knob is for those who do not.
    assert refreshed(client, first).status == 200
    client.graph.consents.refuses_used = True
    assert refreshed(client, second).status == 200
    assert codes(refreshed(client, second)) == ("invalid_grant", [70000])


def test_without_offline_access_there_is_no_refresh_token(client: Client) -> None:
    told = ended_at(opened(client, scope="User.Read"))
    assert "refresh_token" not in redeemed(client, told["code"], scope="User.Read").json


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"redirect_uri": "https://evil.example"}, 400, 50011),
        ({"redirect_uri": f"{REDIRECT}/"}, 400, 50011),
        ({"redirect_uri": "http://[::1"}, 400, 50011),
        ({"client_id": "6f1c0000-0000-0000-0000-000000000000"}, 400, 700016),
    ],
)
def test_a_link_to_elsewhere_leads_nowhere(client: Client, changed: dict[str, str], status: int, code: int) -> None:
    answer = opened(client, **changed)
    assert "Location" not in answer.headers
    assert (answer.status, answer.json["error_codes"]) == (status, [code])


@pytest.mark.parametrize(
    ("changed", "error", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type", 700054),
        ({"response_mode": "fragment"}, "unsupported_response_type", 700054),
        ({"code_challenge_method": "plain"}, "invalid_request", 501491),
        ({"scope": "offline_access"}, "invalid_request", 900144),
        ({"scope": "Mail.Everything"}, "invalid_client", 650053),
        ({"scope": "https://api.example/Mail.Read"}, "invalid_resource", 500011),
        ({"login_hint": "nobody@acme.example"}, "access_denied", 50020),
    ],
)
def test_a_link_that_is_wrong_comes_back_without_a_code(client: Client, changed: dict[str, str], error: str, code: int) -> None:
    told = ended_at(opened(client, **changed))
    assert (told["error"], told["state"]) == (error, "s&1")
    assert told["error_description"].startswith(f"AADSTS{code}: ")
    assert "code" not in told


def test_who_is_logged_in_decides_and_not_the_hint(graph: Graph, client: Client) -> None:
    graph.consents.signed_in = other = graph.add_mailbox("other@acme.example")
    answer = redeemed(client, ended_at(opened(client))["code"])
    assert claims_of(answer.json["access_token"])["oid"] == other.id
    graph.consents.declines = True
    assert ended_at(opened(client))["error_description"].startswith("AADSTS65004: ")
    graph.consents.signed_in = graph.add_mailbox("x@other.example", tenant=graph.add_tenant("other.example"))
    assert ended_at(opened(client))["error_description"].startswith("AADSTS50020: ")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"code_verifier": "w" * 43}, 501481),
        ({"code_verifier": ""}, 501481),
        ({"redirect_uri": "http://localhost:50124"}, 500112),
        ({"code": "1.Anything"}, 70000),
        ({"scope": ""}, 28003),
        ({"scope": f"User.Read {OUTLOOK}/SMTP.Send"}, 28000),
        ({"scope": "Mail.Send"}, 65001),
        ({"client_secret": "wrong"}, 7000215),
        ({"client_secret": ""}, 7000218),
    ],
)
def test_a_code_is_only_for_who_asked_for_it(client: Client, changed: dict[str, str], code: int) -> None:
    told = ended_at(opened(client))
    assert redeemed(client, changed.pop("code", told["code"]), **changed).json["error_codes"] == [code]


def test_a_code_serves_once_and_for_its_app(graph: Graph, client: Client) -> None:
    code = ended_at(opened(client))["code"]
    assert redeemed(client, code).status == 200
    assert codes(redeemed(client, code)) == ("invalid_grant", [70000])
    first, code = refresh_token(client), ended_at(opened(client))["code"]
    client.app = graph.add_app(secret="another")
    assert codes(redeemed(client, code)) == ("invalid_grant", [70000])
    assert codes(refreshed(client, first)) == ("invalid_grant", [70000])


def test_a_public_client_has_no_secret(client: Client) -> None:
    client.app.is_public = True
    told = ended_at(opened(client))
    assert codes(redeemed(client, told["code"])) == ("invalid_client", [700025])
    assert redeemed(client, told["code"], client_secret="").status == 200


@pytest.mark.parametrize("code", [50173, 700082, 70043])
def test_what_ends_a_refresh_token_has_its_code(client: Client, code: int) -> None:
    token = refresh_token(client)
    client.graph.consents.end(client.mailbox, code)
    assert codes(refreshed(client, token)) == ("invalid_grant", [code])
    assert refreshed(client, refresh_token(client)).status == 200


def test_a_consent_that_was_taken_back_gives_no_token(client: Client) -> None:
    token = refresh_token(client)
    client.graph.consents.withdraw(client.mailbox, client.app)
    assert codes(refreshed(client, token)) == ("invalid_grant", [65001])


def device(client: Client, scope: str = "User.Read offline_access") -> Answer:
    form = urlencode({"client_id": client.app.client, "scope": scope}).encode()
    return client.raw("POST", f"/{client.app.tenant}/oauth2/v2.0/devicecode", form)


def polled(client: Client, code: str) -> Answer:
    return client.post_token(grant_type=DEVICE, device_code=code, client_secret="", scope="")


def test_a_device_code_waits_for_its_person(client: Client) -> None:
    client.app.is_public = client.app.allows_device_code = True
    found = device(client).json
    assert urlsplit(found["verification_uri"]).netloc == f"localhost:{client.graph.port}"
    assert codes(polled(client, found["device_code"])) == ("authorization_pending", [70016])
    client.graph.consents.enter(found["user_code"], client.mailbox)
    answer = polled(client, found["device_code"])
    assert claims_of(answer.json["access_token"])["oid"] == client.mailbox.id
    assert refreshed(client, answer.json["refresh_token"], client_secret="").status == 200
    assert codes(polled(client, found["device_code"])) == ("bad_verification_code", [70018])


def test_a_device_code_that_is_declined_or_not_allowed(client: Client) -> None:
    assert codes(device(client)) == ("invalid_client", [7000218])
    client.app.is_public = client.app.allows_device_code = True
    assert codes(device(client, f"User.Read {OUTLOOK}/SMTP.Send")) == ("invalid_request", [28000])
    found = device(client).json
    client.graph.consents.enter(found["user_code"], client.mailbox, declines=True)
    assert codes(polled(client, found["device_code"])) == ("authorization_declined", [65004])
