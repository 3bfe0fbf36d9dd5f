"""The credential ``office365`` against the stand-in: tokens, each error with its own text and advice, and no secret in any of them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from gatewayd import AuthError, GatewaydError, HttpAnswer, TokenSource, TransientError
from gatewayd.testing.graph import Graph
from gatewayd_office365.access_tokens import token_of
from gatewayd_office365.credential import Office365Credential
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.token_faults import TOKEN_FAULTS, TokenFault, token_error
from tests.plugins.graph_site import fields, secret_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from gatewayd.testing.graph import EntraApp


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


def credential(graph: Graph, app: EntraApp | None = None, **changed: object) -> Office365Credential:
    return Office365Credential(Office365CredentialOptions.model_validate({**fields(graph, app), **changed}))


def refusal(graph: Graph, app: EntraApp | None = None, resource: str = "", **changed: object) -> GatewaydError:
    with pytest.raises(GatewaydError) as caught:
        credential(graph, app, **changed).obtain("", resource)
    return caught.value


def test_a_token_is_for_the_resource_that_is_asked_for(graph: Graph) -> None:
    source = TokenSource(credential(graph, graph.add_app(secret="a&b+c~.%")))
    assert source.token("ann", graph.authority) == source.token("bob", graph.authority)
    assert graph.tokens.owner(f"Bearer {source.token('ann', graph.authority)}").audience == graph.authority
    assert source.token("ann") != source.token("ann", graph.authority)


def test_without_a_resource_a_token_is_for_IMAP_POP3_and_SMTP(graph: Graph) -> None:
    token = credential(graph).obtain("", "")
    assert token.lasts == graph.tokens.lifetime
    # Graph does not take it.
    with pytest.raises(Exception, match="audience"):
        graph.tokens.owner(f"Bearer {token.text}")


def _expired(graph: Graph) -> GatewaydError:
    app = graph.add_app(secret="s")
    app.secret_ends = time.time() - 1
    return refusal(graph, app)


def _without_principal(graph: Graph) -> GatewaydError:
    app = graph.add_app(secret="s")
    app.has_principal = False
    return refusal(graph, app)


def _blocked(graph: Graph) -> GatewaydError:
    app = graph.add_app(secret="s")
    app.is_blocked = True
    return refusal(graph, app)


NOBODY = "11111111-2222-3333-4444-555555555555"
#: What goes wrong, with the number that Microsoft gives for it.
WRONG: Mapping[int, Callable[[Graph], GatewaydError]] = {
    7000215: lambda graph: refusal(graph, secret=secret_file(graph.folder, "the wrong one")),
    7000222: _expired,
    700016: lambda graph: refusal(graph, client=NOBODY),
    7000229: _without_principal,
    90002: lambda graph: refusal(graph, tenant=NOBODY),
    500011: lambda graph: refusal(graph, resource="https://api.example.com"),
    53003: _blocked,
}


@pytest.mark.parametrize("code", WRONG)
def test_P9_each_refusal_has_its_own_text_and_advice_and_tells_no_secret(graph: Graph, code: int) -> None:
    error = WRONG[code](graph)
    (fault,) = (one for one in TOKEN_FAULTS if code in one.codes)
    assert isinstance(error, AuthError)
    assert error.message.startswith(f"localhost:{graph.port}: {fault.what} (AADSTS{code}, trace id ")
    assert error.advice == fault.advice
    assert graph.app.secret not in f"{error!r} {error.sentences}"
    assert "the wrong one" not in f"{error!r} {error.sentences}"


@pytest.mark.parametrize("fault", TOKEN_FAULTS, ids=lambda fault: str(fault.codes[0]))
def test_every_row_of_the_table_is_found_by_its_numbers_and_never_by_the_text(fault: TokenFault) -> None:
    for code in fault.codes:
        said = {"error": "invalid_client", "error_description": "AADSTS7000222: expired", "error_codes": [code], "trace_id": "a-1"}
        error = token_error(answer(401), said, "login.example:443", ["s3cret"])
        assert isinstance(error, AuthError)
        assert error.message == f"login.example:443: {fault.what} (AADSTS{code}, trace id a-1)"
        assert error.advice == fault.advice


def test_the_rows_of_the_table_differ_in_text_and_number() -> None:
    assert len({one.what for one in TOKEN_FAULTS}) == len(TOKEN_FAULTS)
    codes = [code for one in TOKEN_FAULTS for code in one.codes]
    assert len(set(codes)) == len(codes)


def answer(status: int, **headers: str) -> HttpAnswer:
    return HttpAnswer(status=status, reason="", headers={name.replace("_", "-"): text for name, text in headers.items()}, body=b"")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"error": "invalid_client"}, "the client secret is wrong (invalid_client)"),
        ({"error": "invalid_tenant", "trace_id": "x y"}, "there is no such tenant (invalid_tenant)"),
        ({"error": "new_one", "error_codes": [9], "error_description": "No\nluck"}, "refuses the app (AADSTS9): No luck"),
        ({"error": 7, "error_codes": "no"}, "refuses the app (HTTP 400):"),
        ({"error_codes": [{}, None, 7000222]}, "the client secret has expired (AADSTS7000222)"),
        ({"error": "x", "error_description": "half a sign: \ud800"}, "refuses the app (x): half a sign"),
        ({"error": "x", "error_description": "the secret is s3cret"}, "(not shown: it repeats a secret)"),
    ],
)
def test_what_is_unknown_has_an_advice_too(said: Mapping[str, object], text: str) -> None:
    error = token_error(answer(400), said, "login.example:443", ["s3cret"])
    assert isinstance(error, AuthError)
    assert text in error.message
    assert error.advice
    assert "s3cret" not in error.message


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_go_well_later_is_transient_and_says_when(status: int) -> None:
    error = token_error(answer(status, retry_after="17"), {}, "login.example:443", ["s"])
    assert isinstance(error, TransientError)
    assert error.retry_after == 17
    assert isinstance(token_error(answer(400), {"error": "temporarily_unavailable"}, "login.example:443", ["s"]), TransientError)
    # The log-in calls this a refusal, and it is none.
    said = {"error": "invalid_grant", "error_codes": [90033]}
    assert isinstance(token_error(answer(400), said, "login.example:443", ["s"]), TransientError)


@pytest.mark.parametrize(
    ("lasts", "seconds"), [("3599", 3599.0), ('"3599"', 3599.0), (f"1{'0' * 400}", 86400.0), ("Infinity", 86400.0)]
)
def test_a_token_lasts_a_day_at_most(lasts: str, seconds: float) -> None:
    assert token_of(json.loads(f'{{"access_token": "a", "expires_in": {lasts}}}'), "login.example:443").lasts == seconds


@pytest.mark.parametrize("lasts", ["0", "-1", "NaN", "null", "[]", '"soon"', f'"{"9" * 400}x"'])
def test_an_answer_that_does_not_say_for_how_long_is_no_token(lasts: str) -> None:
    with pytest.raises(TransientError, match="has no access token"):
        token_of(json.loads(f'{{"access_token": "a", "expires_in": {lasts}}}'), "login.example:443")


def test_an_authority_that_is_busy_is_asked_again_when_it_says(graph: Graph) -> None:
    graph.fail("/token", status=429, Retry_After="7")
    error = refusal(graph)
    assert isinstance(error, TransientError)
    assert error.retry_after == 7
    graph.fail("/token", "cut")
    assert isinstance(refusal(graph), TransientError)
    assert credential(graph).obtain("", "").text


@pytest.mark.parametrize(
    ("protocol", "word"), [("IMAP", "-ImapEnabled"), ("POP3", "-PopEnabled"), ("SMTP", "Add-RecipientPermission")]
)
def test_the_advice_for_a_mailbox_that_refuses_the_token_names_the_commands(graph: Graph, protocol: str, word: str) -> None:
    text = credential(graph).advice(protocol)
    assert word in text
    assert f"New-ServicePrincipal -AppId {graph.app.client} -ObjectId" in text
    assert "enterprise application" in text


def test_an_answer_without_a_token_is_transient(graph: Graph) -> None:
    graph.fail("/token", status=200)
    error = refusal(graph)
    assert isinstance(error, TransientError)
    assert "no access token" in error.message
    assert "authority" in error.advice
