from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gatewayd.testing.graph import EntraApp, Graph
    from tests.unit.testing.graph.graph_client import Client
from gatewayd.testing.graph.delta import SyncStates
from gatewayd.testing.graph.drafts import UploadSessions
from gatewayd.testing.graph.routes import Routes


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def test_a_token_is_issued_and_has_the_size_and_the_claims_of_a_real_one(client: Client) -> None:
    answer = client.post_token()
    assert answer.status == 200
    assert answer.json["token_type"] == "Bearer"
    assert answer.json["expires_in"] == answer.json["ext_expires_in"] == 3599
    assert 1_900 < len(answer.json["access_token"]) < 2_100
    claims = claims_of(answer.json["access_token"])
    assert claims["roles"] == ["Mail.ReadWrite", "Mail.Send"]
    assert claims["appid"] == client.app.client


def test_a_tenant_is_named_by_its_domain_too(client: Client) -> None:
    assert client.post_token("acme.example").status == 200
    found = client.raw("GET", "/acme.example/v2.0/.well-known/openid-configuration").json
    assert found["device_authorization_endpoint"].endswith("/oauth2/v2.0/devicecode")
    assert found["token_endpoint"] == f"{client.graph.authority}/{client.graph.tenant.id}/oauth2/v2.0/token"


def test_the_credential_may_come_by_http_basic(client: Client) -> None:
    pair = base64.b64encode(f"{client.app.client}:q~.8%26%2B{client.app.secret[6:]}".encode()).decode()
    assert client.post_token(client_id="", client_secret="").status != 200
    path = f"/{client.app.tenant}/oauth2/v2.0/token"
    body = b"grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default"
    assert client.raw("POST", path, body, Authorization=f"Basic {pair}").status == 200


@pytest.mark.parametrize(
    ("fields", "status", "error", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
        ({"client_secret": ""}, 401, "invalid_client", 7000216),
        ({"client_id": "6f1c0000-0000-0000-0000-000000000000"}, 400, "unauthorized_client", 700016),
        ({"tenant": "6f1c0000-0000-0000-0000-000000000000"}, 400, "invalid_request", 90002),
        ({"tenant": "nobody.example"}, 400, "invalid_request", 90002),
        ({"tenant": "my tenant"}, 400, "invalid_request", 900023),
        ({"scope": "Mail.Read"}, 400, "invalid_scope", 70011),
        ({"scope": "https://other.example/.default"}, 400, "invalid_resource", 500011),
        ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
        (
            {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion": "a.b.c"},
            401,
            "invalid_client",
            700027,
        ),
    ],
)
def test_a_wrong_request_has_the_code_of_microsoft(
    client: Client, fields: dict[str, str], status: int, error: str, code: int
) -> None:
    tenant = fields.pop("tenant", "").replace(" ", "%20")
    answer = client.post_token(tenant, **fields)
    assert (answer.status, answer.json["error"], answer.json["error_codes"]) == (status, error, [code])
    assert answer.json["error_description"].startswith(f"AADSTS{code}: ")
    assert client.app.secret.encode() not in answer.body


def _no_principal(app: EntraApp) -> None:
    app.has_principal = False


def _blocked(app: EntraApp) -> None:
    app.is_blocked = True


def _ended(app: EntraApp) -> None:
    app.secret_ends = time.time() - 1


@pytest.mark.parametrize(("change", "code"), [(_no_principal, 7000229), (_blocked, 53003), (_ended, 7000222)])
def test_what_an_administrator_did_has_its_code(client: Client, change: object, code: int) -> None:
    assert callable(change)
    change(client.app)
    assert client.post_token().json["error_codes"] == [code]


def test_an_unknown_tenant_has_no_endpoints(client: Client) -> None:
    answer = client.raw("GET", "/nobody.example/v2.0/.well-known/openid-configuration")
    assert (answer.status, answer.json["error"], answer.json["error_codes"]) == (400, "invalid_tenant", [90002])


def test_tokens_that_have_ended_or_are_for_another_resource_are_refused(client: Client) -> None:
    assert client.get("mailFolders/inbox").status == 200
    client.graph.expire_tokens()
    ended = client.get("mailFolders/inbox")
    assert (ended.status, ended.code) == (401, "InvalidAuthenticationToken")
    assert "expired" in ended.json["error"]["message"]
    assert ended.headers["WWW-Authenticate"].startswith("Bearer")
    client.token = client.post_token(scope="https://outlook.office365.com/.default").json["access_token"]
    assert "audience" in client.get("mailFolders/inbox").json["error"]["message"]
    client.token = "garbage"
    assert client.get("mailFolders/inbox").status == 401
    assert client.raw("GET", f"/v1.0/users/{client.mailbox.id}/mailFolders/inbox").status == 401
    client.graph.tokens.lifetime = 0
    assert client.log_in().get("mailFolders/inbox").status == 401


def test_permissions_are_those_of_the_token_and_of_rbac(client: Client) -> None:
    client.app.roles.clear()
    assert client.get("mailFolders/inbox").status == 200
    client.log_in()
    assert "roles" not in claims_of(client.token)
    refused = client.get("mailFolders/inbox")
    assert (refused.status, refused.code) == (403, "ErrorAccessDenied")
    client.app.granted[client.mailbox.id] = {"Mail.Read"}
    assert client.get("mailFolders/inbox").status == 200
    client.app.only = set()
    assert "AppOnly AccessPolicy" in client.get("mailFolders/inbox").json["error"]["message"]


def test_each_endpoint_has_its_permission(client: Client) -> None:
    message = client.mailbox.deliver(b"Subject: x\r\n\r\n")
    for roles in (set(), {"Mail.Read"}, {"Mail.ReadWrite"}, {"Mail.Send"}):
        client.app.roles = roles
        client.log_in()
        for (method, shape), (_, allowed) in Routes(SyncStates().answer, UploadSessions().create).all.items():
            path = shape.replace("mailFolders/*", "mailFolders/inbox").replace("messages/*", f"messages/{message.item_id}")
            is_refused = client.ask(method, path, b"").status == 403
            assert is_refused is not bool(roles & allowed), (method, path, roles)


def test_reading_does_not_allow_to_change(client: Client) -> None:
    client.app.roles = {"Mail.Read"}
    client.log_in()
    message = client.mailbox.deliver(b"Subject: x\r\n\r\n")
    assert client.ask("DELETE", f"messages/{message.item_id}").code == "ErrorAccessDenied"
    assert client.post(f"messages/{message.item_id}/move", {"destinationId": "archive"}).code == "ErrorAccessDenied"
    assert client.mailbox.messages() == [message]


def test_mailboxes_that_are_not_there(graph: Graph, client: Client) -> None:
    codes = {}
    foreign = graph.add_mailbox("x@other.example", tenant=graph.add_tenant("other.example"))
    for user in ("6f1c0000-0000-0000-0000-000000000000", "nobody@acme.example", foreign.id):
        answer = client.get(f"/v1.0/users/{user}/mailFolders/inbox")
        assert answer.status == 404
        codes[user] = answer.code
    assert [*codes.values()] == ["Request_ResourceNotFound", "ErrorInvalidUser", "ErrorInvalidUser"]
    client.mailbox.is_licensed = False
    answer = client.get("mailFolders/inbox")
    assert (answer.status, answer.code) == (404, "MailboxNotEnabledForRESTAPI")
    client.mailbox.is_licensed = True
    assert client.get("/v1.0/users/OPS@acme.example/mailFolders/inbox").status == 200


def test_the_log_has_no_secret_and_no_token(client: Client) -> None:
    client.get("mailFolders/inbox")
    log = client.graph.log
    assert [str(one) for one in log.token_requests] == [f"POST /{client.app.tenant}/oauth2/v2.0/token"]
    assert {one.client for one in log.requests} == {client.app.client}
    text = repr(log.requests) + repr(client.app)
    assert client.token not in text
    assert client.app.secret not in text
