"""The consent of a person at the stand-in for Microsoft: the link, the code, tokens, names, device codes, and each refusal."""

from __future__ import annotations

import itertools
import json
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gatewayd import (
    HIDDEN,
    Action,
    AuthError,
    ConsentEnded,
    DeviceCode,
    GatewaydError,
    Grant,
    HttpAnswer,
    Token,
    TokenSource,
    TransientError,
)
from gatewayd.testing.contracts.forwarder import make_parcel
from gatewayd.testing.graph import Graph
from gatewayd.testing.graph.certificates import server_certificate
from gatewayd.testing.graph.wire import HttpsListener, ServedResponse
from gatewayd_office365.consent import Office365Consent
from gatewayd_office365.consent_faults import CODE_FAULTS, CONSENT_FAULTS, DEVICE_FAULTS, REFRESH_FAULTS
from gatewayd_office365.credential import Office365Credential
from gatewayd_office365.credential_options import Office365CredentialOptions
from gatewayd_office365.forwarder import Office365Forwarder
from gatewayd_office365.options import Office365Options
from gatewayd_office365.token_faults import TokenFault, token_error
from gatewayd_office365.transport import Office365
from tests.plugins.consent_pages import REDIRECT, STATE, VERIFIER, opened, request, told
from tests.plugins.graph_site import fields, keys, last_cursor, new_address, secret_file
from tests.unit.testing.graph.graph_client import mail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from gatewayd import ConsentRequest, TokenUse
    from gatewayd.testing.graph import EntraApp, ExchangeMailbox
    from gatewayd.testing.graph.wire import ServedConnection, ServedRequest

    WrongCase: TypeAlias = tuple[Callable[[Graph, EntraApp, ExchangeMailbox], GatewaydError], int, str]


@pytest.fixture(scope="module")
def graph() -> Iterator[Graph]:
    with Graph() as server:
        yield server


@pytest.fixture
def mailbox(graph: Graph) -> ExchangeMailbox:
    consents = graph.consents
    consents.signed_in, consents.declines, consents.refuses_used = None, False, False
    return graph.add_mailbox(new_address())


@pytest.fixture
def app(graph: Graph) -> EntraApp:
    app = graph.add_app()
    app.is_public = True
    return app


def options(graph: Graph, app: EntraApp, /, **changed: object) -> Office365CredentialOptions:
    given = {**fields(graph, app), "secret": None, "consent": True, "graph": graph.base, **changed}
    return Office365CredentialOptions.model_validate(given)


def consent(graph: Graph, app: EntraApp, /, **changed: object) -> Office365Consent:
    return Office365Consent(options(graph, app, **changed))


def code_of(graph: Graph, way: Office365Consent, asked: ConsentRequest) -> str:
    return told(opened(way.link(asked), graph.ca_file))["code"]


def connected(graph: Graph, way: Office365Consent, mailbox: ExchangeMailbox, resource: str = "") -> Grant:
    asked = request(mailbox.address, resource)
    return way.redeem(asked, code_of(graph, way, asked))


def error_of(call: Callable[[], object]) -> GatewaydError:
    with pytest.raises(GatewaydError) as caught:
        call()
    return caught.value


# --- the way from the link to the mailbox ------------------------------------------------------------------------------


def test_a_credential_has_a_consent_only_if_its_options_say_so(graph: Graph, app: EntraApp) -> None:
    assert isinstance(Office365Credential(options(graph, app)).consent(), Office365Consent)
    assert Office365Credential(Office365CredentialOptions.model_validate(fields(graph))).consent() is None


def test_a_person_consents_and_its_mailbox_opens_by_graph(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    asked = request(mailbox.address, graph.authority)
    address = opened(way.link(asked), graph.ca_file)
    assert address.startswith(f"{REDIRECT}?")
    assert told(address)["state"] == STATE
    grant = way.redeem(asked, told(address)["code"])
    mailbox.aliases, mailbox.login_name = ["info@acme.example"], "irina@tenant.example"
    names = [mailbox.address, "irina@tenant.example", "info@acme.example", mailbox.id]
    assert list(way.names(grant)) == names
    next_one = way.refresh(mailbox.address, graph.authority, grant.refresh_token)
    owner = graph.tokens.owner(f"Bearer {next_one.token.text}")
    assert (owner.person, owner.roles) == (mailbox.id, frozenset({"Mail.ReadWrite", "Mail.Send", "User.Read"}))
    assert next_one.token.lasts == graph.tokens.lifetime
    assert next_one.refresh_token not in {"", grant.refresh_token}


@pytest.mark.parametrize(
    ("changes", "sends", "permissions"),
    [
        (False, False, {"Mail.Read"}),
        (True, False, {"Mail.ReadWrite"}),
        (False, True, {"Mail.ReadWrite", "Mail.Send"}),
        (True, True, {"Mail.ReadWrite", "Mail.Send"}),
    ],
)
def test_no_more_is_asked_of_a_person_than_the_account_does(
    graph: Graph, app: EntraApp, mailbox: ExchangeMailbox, *, changes: bool, sends: bool, permissions: set[str]
) -> None:
    way = consent(graph, app)
    asked = replace(request(mailbox.address, graph.authority), changes=changes, sends=sends)
    scopes = {one.rpartition("/")[2] for one in told(way.link(asked))["scope"].split()}
    assert scopes == {*permissions, "User.Read", "offline_access"}
    grant = way.redeem(asked, told(opened(way.link(asked), graph.ca_file))["code"])
    next_one = way.refresh(mailbox.address, graph.authority, grant.refresh_token)
    assert graph.tokens.owner(f"Bearer {next_one.token.text}").roles == {*permissions, "User.Read"}


def test_for_imap_pop3_and_smtp_the_consent_is_for_these(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    assert mailbox.address in way.names(grant)
    way.refresh(mailbox.address, "", grant.refresh_token)
    # Mail by Graph was not asked for.
    error = error_of(lambda: way.refresh(mailbox.address, graph.authority, grant.refresh_token))
    assert isinstance(error, ConsentEnded)
    assert "has taken the consent back (AADSTS65001, " in error.message


def test_the_link_hints_at_an_address_and_not_at_an_id(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    assert told(way.link(request("a+b@acme.example")))["login_hint"] == "a+b@acme.example"
    assert "login_hint" not in told(way.link(request(mailbox.id)))
    assert told(way.link(request("a@acme.example")))["prompt"] == "select_account"


def test_an_app_with_a_secret_proves_itself(graph: Graph, mailbox: ExchangeMailbox) -> None:
    app = graph.add_app(secret="q&~.+")
    way = consent(graph, app, secret=secret_file(graph.folder, app.secret))
    grant = connected(graph, way, mailbox)
    assert way.refresh(mailbox.address, "", grant.refresh_token).token.text


def test_the_identity_is_the_apps_whatever_else_changes(graph: Graph, app: EntraApp) -> None:
    identity = consent(graph, app).identity
    assert identity == consent(graph, app, timeout="5s", client=app.client.upper(), ca_file=None, device_code=True).identity
    assert identity == {"authority": graph.authority, "tenant": app.tenant, "client": app.client}
    assert identity != consent(graph, graph.add_app()).identity


def test_a_device_code_is_had_only_where_the_config_allows_it(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    assert consent(graph, app).device(request(mailbox.address)) is None


@pytest.mark.parametrize("by_graph", [True, False])
def test_a_person_consents_with_a_device_code(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox, *, by_graph: bool) -> None:
    app.allows_device_code = True
    way, resource = consent(graph, app, device_code=True), graph.authority if by_graph else ""
    if not by_graph:
        # As an administrator does for all: a device code asks for the permissions of one API.
        connected(graph, way, mailbox)
    code = way.device(request(mailbox.address, resource))
    assert code is not None
    assert (code.interval, code.lasts) == (5.0, 900.0)
    assert code.url.startswith(graph.authority)
    assert way.poll(code) == code
    graph.consents.enter(code.user_code, mailbox)
    grant = way.poll(code)
    assert isinstance(grant, Grant)
    assert mailbox.address in way.names(grant)
    assert way.refresh(mailbox.address, resource, grant.refresh_token).token.text


# --- what goes wrong ---------------------------------------------------------------------------------------------------


def _another_state(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    way, asked = consent(graph, app), request(mailbox.address)
    code = code_of(graph, way, asked)
    other = type(asked)(user=asked.user, redirect=asked.redirect, state=STATE, verifier="another" * 7)
    return error_of(lambda: way.redeem(other, code))


def _twice(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    way, asked = consent(graph, app), request(mailbox.address)
    code = code_of(graph, way, asked)
    way.redeem(asked, code)
    return error_of(lambda: way.redeem(asked, code))


def _public_with_secret(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    way, asked = consent(graph, app, secret=secret_file(graph.folder, "needless")), request(mailbox.address)
    return error_of(lambda: way.redeem(asked, code_of(graph, way, asked)))


def _without_secret(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    app.is_public = False
    way, asked = consent(graph, app), request(mailbox.address)
    return error_of(lambda: way.redeem(asked, code_of(graph, way, asked)))


def _device_not_allowed(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    return error_of(lambda: consent(graph, app, device_code=True).device(request(mailbox.address)))


def _device_declined(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    app.allows_device_code = True
    way = consent(graph, app, device_code=True)
    code = way.device(request(mailbox.address))
    assert code is not None
    graph.consents.enter(code.user_code, mailbox, declines=True)
    return error_of(lambda: way.poll(code))


def _device_of_nobody(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    del mailbox
    code = DeviceCode(user_code="A", url="https://x", device_code="1.AnotherOne", interval=5, lasts=900)
    return error_of(lambda: consent(graph, app, device_code=True).poll(code))


def _not_for_graph(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> GatewaydError:
    app.allows_device_code = True
    way = consent(graph, app, device_code=True)
    code = way.device(request(mailbox.address))
    assert code is not None
    graph.consents.enter(code.user_code, mailbox)
    return error_of(lambda: way.poll(code))


#: What goes wrong before a consent is kept, with the number that Microsoft gives for it.
WRONG: list[WrongCase] = [
    (_another_state, 501481, "the pasted address"),
    (_twice, 70000, "the pasted address"),
    (_public_with_secret, 700025, "a public client"),
    (_without_secret, 7000218, "no public client"),
    (_device_not_allowed, 7000218, "no public client"),
    (_device_declined, 65004, "declined"),
    (_device_of_nobody, 70018, "the device code"),
    (_not_for_graph, 65001, "has not consented"),
]


@pytest.mark.parametrize("case", WRONG, ids=[one[0].__name__ for one in WRONG])
def test_P9_what_goes_wrong_before_there_is_a_consent_has_its_own_advice(
    graph: Graph, app: EntraApp, mailbox: ExchangeMailbox, case: WrongCase
) -> None:
    wrong, number, what = case
    error = wrong(graph, app, mailbox)
    # There is nothing yet that could end.
    assert type(error) is AuthError
    assert f"(AADSTS{number}, trace id " in error.message
    assert what in error.message
    assert error.advice
    assert VERIFIER not in f"{error!r} {error.sentences}"


@pytest.mark.parametrize("declines", [True, False])
def test_a_page_that_gives_no_code_is_told_by_its_number(
    graph: Graph, app: EntraApp, mailbox: ExchangeMailbox, *, declines: bool
) -> None:
    graph.consents.declines = declines
    if not declines:
        graph.consents.signed_in = graph.add_mailbox(new_address(), tenant=graph.add_tenant("other.example"))
    way, asked = consent(graph, app), request(mailbox.address)
    found = told(opened(way.link(asked), graph.ca_file))
    assert found["error"] == "access_denied"
    refused = way.refused(asked, found["error"], found["error_description"])
    assert type(refused) is AuthError
    what = "the person has declined (AADSTS65004)" if declines else "who has logged in is no user of the tenant (AADSTS50020)"
    assert refused.message == f"localhost:{graph.port}: {what}"
    assert refused.advice


@pytest.mark.parametrize(
    ("error", "words", "what"),
    [
        ("access_denied", "", "the person has declined (access_denied)"),
        ("consent_required", "", "has not consented to all that this needs"),
        ("temporarily_unavailable", "", "no access token"),
        ("new_one", "AADSTS99: No\nluck", "refuses the app (AADSTS99): AADSTS99: No luck"),
        ("", "", "refuses the app (HTTP 400)"),
        ("access_denied", f"AADSTS9: {STATE}", "(not shown: it repeats a secret)"),
        ("x", "AADSTS" + "9" * 5000, "refuses the app (x)"),
    ],
)
def test_whatever_stands_in_the_address_is_told(graph: Graph, app: EntraApp, error: str, words: str, what: str) -> None:
    refused = consent(graph, app).refused(request("a@acme.example"), error, words)
    assert type(refused) is AuthError
    assert what in refused.message
    assert refused.advice
    assert STATE not in refused.sentences


@settings(deadline=None, max_examples=60)
@each(st.text(max_size=80), st.text(max_size=200))
def test_no_address_does_harm(error: str, words: str) -> None:
    given = {"tenant": "acme.example", "client": "11111111-2222-3333-4444-555555555555", "consent": True}
    plain = Office365CredentialOptions.model_validate(given)
    found = Office365Consent(plain).refused(request("a@acme.example"), error, words)
    assert found.sentences.isprintable()
    assert len(found.sentences) < 1000


@pytest.mark.parametrize(("number", "what"), [(50173, "a new password"), (700082, "not used for 90 days"), (70043, "a policy")])
def test_a_consent_that_has_ended_is_told_as_that(
    graph: Graph, app: EntraApp, mailbox: ExchangeMailbox, number: int, what: str
) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    graph.consents.end(mailbox, number)
    error = error_of(lambda: way.refresh(mailbox.address, "", grant.refresh_token))
    assert isinstance(error, ConsentEnded)
    assert what in error.message
    assert f"(AADSTS{number}, trace id " in error.message
    assert grant.refresh_token not in f"{error!r} {error.sentences}"


def test_a_consent_that_was_taken_back_is_told_as_that(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    graph.consents.withdraw(mailbox, app)
    error = error_of(lambda: way.refresh(mailbox.address, "", grant.refresh_token))
    assert isinstance(error, ConsentEnded)
    assert "taken the consent back" in error.message


def test_a_refresh_token_that_was_used_is_told_as_no_longer_taken(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    graph.consents.refuses_used = True
    way.refresh(mailbox.address, "", grant.refresh_token)
    error = error_of(lambda: way.refresh(mailbox.address, "", grant.refresh_token))
    assert isinstance(error, ConsentEnded)
    assert "does not take the consent any more (AADSTS70000, " in error.message


def test_an_authority_that_is_busy_ends_no_consent(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    graph.fail("/token", status=429, Retry_After="7")
    error = error_of(lambda: way.refresh(mailbox.address, "", grant.refresh_token))
    assert isinstance(error, TransientError)
    assert error.retry_after == 7
    graph.fail("/token", "cut")
    assert isinstance(error_of(lambda: way.refresh(mailbox.address, "", grant.refresh_token)), TransientError)
    assert way.refresh(mailbox.address, "", grant.refresh_token).token.text


@pytest.mark.parametrize(("status", "what"), [(401, "User.Read"), (403, "User.Read"), (503, "service health"), (200, "`graph`")])
def test_a_mailbox_whose_name_is_not_told_has_an_advice(
    graph: Graph, app: EntraApp, mailbox: ExchangeMailbox, status: int, what: str
) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    graph.fail("/v1.0/me", status=status)
    error = error_of(lambda: way.names(grant))
    assert type(error) is (AuthError if status in {401, 403} else TransientError)
    assert what in error.advice
    assert "the question whose mailbox it is" in error.message


def test_a_token_that_was_not_meant_for_this_opens_no_name(graph: Graph, app: EntraApp) -> None:
    with pytest.raises(AuthError) as caught:
        consent(graph, app).names(Grant(Token("nobodys-token", 60.0)))
    assert "nobodys-token" not in f"{caught.value!r} {caught.value.sentences}"


# --- the tables ---------------------------------------------------------------------------------------------------------


def refusal(said: Mapping[str, object], faults: tuple[TokenFault, ...]) -> GatewaydError:
    answer = HttpAnswer(status=400, reason="", headers={}, body=b"")
    return token_error(answer, said, "login.example:443", ["s3cret"], faults=faults)


@pytest.mark.parametrize("faults", [REFRESH_FAULTS, CODE_FAULTS, DEVICE_FAULTS], ids=["refresh", "code", "device"])
def test_every_row_of_the_tables_is_found_by_its_numbers(faults: tuple[TokenFault, ...]) -> None:
    # What the first rows are about, those of all requests say in general.
    seen: set[int] = set()
    for fault in faults:
        for number in set(fault.codes) - seen:
            error = refusal({"error": "invalid_grant", "error_codes": [number], "error_description": "s3cret"}, faults)
            assert type(error) is fault.verb
            assert error.message == f"login.example:443: {fault.what} (AADSTS{number})"
            assert error.advice == fault.advice
        seen |= set(fault.codes)


def test_the_rows_differ_in_text_and_number() -> None:
    own = [*CONSENT_FAULTS, *(one for one in REFRESH_FAULTS if one.any_number), *(one for one in CODE_FAULTS if one.any_number)]
    assert len({one.what for one in own}) == len({one.advice for one in own}) == len(own)
    codes = list(itertools.chain(*(one.codes for one in CONSENT_FAULTS)))
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("said", "faults", "kind", "what"),
    [
        (
            {"error": "invalid_grant", "error_codes": [7], "error_description": "New"},
            REFRESH_FAULTS,
            ConsentEnded,
            "(AADSTS7): New",
        ),
        ({"error": "invalid_grant", "error_codes": [7], "error_description": "New"}, CODE_FAULTS, AuthError, "(AADSTS7): New"),
        ({"error": "invalid_grant"}, REFRESH_FAULTS, ConsentEnded, "does not take the consent any more (invalid_grant)"),
        ({"error": "interaction_required"}, REFRESH_FAULTS, ConsentEnded, "second factor"),
        ({"error": "invalid_grant", "error_codes": [8], "error_description": "s3cret"}, REFRESH_FAULTS, ConsentEnded, "(not shown"),
        ({"error": "invalid_client", "error_codes": [7000222]}, REFRESH_FAULTS, AuthError, "the client secret has expired"),
        (
            {"error": "another", "error_codes": [8], "error_description": "x"},
            REFRESH_FAULTS,
            AuthError,
            "refuses the app (AADSTS8): x",
        ),
    ],
)
def test_a_number_that_no_row_has_is_told_with_microsofts_words(
    said: Mapping[str, object], faults: tuple[TokenFault, ...], kind: type[AuthError], what: str
) -> None:
    error = refusal(said, faults)
    assert type(error) is kind
    assert what in error.message


# --- options ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"consent": False}, "expected either 'secret' or 'certificate', found neither"),
        ({"consent": False, "secret": "S", "device_code": True}, "device_code: it goes with 'consent'"),
        ({"secret": "S", "device_code": True}, "device_code: it is for public clients"),
        ({"graph": "http://graph.microsoft.com"}, "with https"),
    ],
)
def test_fields_that_do_not_go_together_are_faults(graph: Graph, app: EntraApp, changed: dict[str, object], what: str) -> None:
    given = {name: secret_file(graph.folder, "s") if value == "S" else value for name, value in changed.items()}
    with pytest.raises(ValidationError, match=what):
        options(graph, app, **given)


def test_a_mailbox_that_refuses_a_persons_token_needs_no_service_principal(graph: Graph, app: EntraApp) -> None:
    advice = Office365Credential(options(graph, app)).advice("IMAP")
    assert "Set-CASMailbox -Identity MAILBOX -ImapEnabled $true" in advice
    assert "New-ServicePrincipal" not in advice


def test_P9_no_secret_is_in_any_repr(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> None:
    way = consent(graph, app)
    grant = connected(graph, way, mailbox)
    shown = f"{way!r} {vars(way)!r} {grant!r} {request(mailbox.address)!r}"
    for secret in (grant.token.text, grant.refresh_token, VERIFIER):
        assert secret not in shown
    assert json.dumps(STATE) not in shown


# --- answers that are none ----------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Piece(ServedResponse):
    """A part of a response."""

    def encoded(self) -> bytes:
        return self.body


@contextmanager
def answering(*said: Mapping[str, object], folder: Path, status: int = 200, drips: bool = False) -> Iterator[dict[str, str]]:
    """Run an authority that answers one after the other, and then the last one again; yields the fields that lead to it.

    ``drips``: an answer comes in pieces of 16 KiB, with a wait between them.
    """
    ca, context = server_certificate("localhost")
    (folder / "ca.pem").write_bytes(ca)
    left = list(said)

    def serve(_request: ServedRequest, connection: ServedConnection) -> None:
        body = json.dumps(left.pop(0) if len(left) > 1 else left[0]).encode()
        whole = ServedResponse(status=status, headers={"Content-Type": "application/json"}, body=body).encoded()
        step = 1 << 14 if drips else len(whole)
        for start in range(0, len(whole), step):
            connection.wait(0.1 if start else 0.0)
            connection.send(Piece(status=status, body=whole[start : start + step]))

    with HttpsListener(context, serve) as listener:
        address = f"https://localhost:{listener.port}"
        yield {"authority": address, "graph": f"{address}/v1.0", "ca_file": str(folder / "ca.pem")}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"access_token": "a", "expires_in": 60}, AuthError),
        ({"access_token": "a", "expires_in": 60, "refresh_token": ""}, AuthError),
        ({"access_token": "a", "expires_in": 60, "refresh_token": "a b"}, TransientError),
        ({"access_token": "a", "expires_in": 60, "refresh_token": "x" * 70000}, TransientError),
        ({"access_token": "a b", "expires_in": 60, "refresh_token": "r"}, TransientError),
        ({}, TransientError),
    ],
)
def test_what_is_no_lasting_token_is_not_taken_for_one(
    graph: Graph, app: EntraApp, tmp_path: Path, said: dict[str, object], kind: type[GatewaydError]
) -> None:
    with answering(said, folder=tmp_path) as given:
        error = error_of(lambda: consent(graph, app, **given).redeem(request("a@acme.example"), "c0de"))
    assert type(error) is kind
    assert error.advice


@pytest.mark.parametrize(
    ("said", "times"),
    [
        ({"interval": 7, "expires_in": 60}, (7.0, 60.0)),
        ({"interval": 0, "expires_in": -1}, (5.0, 3600.0)),
        ({"interval": "7", "expires_in": None}, (5.0, 3600.0)),
        ({"interval": 1e9, "expires_in": 1e9}, (60.0, 3600.0)),
    ],
)
def test_a_device_code_has_its_times_within_bounds(
    graph: Graph, app: EntraApp, tmp_path: Path, said: dict[str, object], times: tuple[float, float]
) -> None:
    body = {"user_code": "AB-CD", "device_code": "d", "verification_uri": "https://x.example/device", **said}
    with answering(body, folder=tmp_path) as given:
        code = consent(graph, app, device_code=True, **given).device(request("a@acme.example"))
    assert code is not None
    assert (code.interval, code.lasts) == times


@pytest.mark.parametrize("changed", [{"user_code": "\x1b[2J"}, {"verification_uri": ""}, {"device_code": 7}, {"user_code": "A B"}])
def test_what_is_no_device_code_is_not_shown(graph: Graph, app: EntraApp, tmp_path: Path, changed: dict[str, object]) -> None:
    body = {"user_code": "AB-CD", "device_code": "d", "verification_uri": "https://x.example/device", **changed}
    with answering(body, folder=tmp_path) as given:
        way = consent(graph, app, device_code=True, **given)
        error = error_of(lambda: way.device(request("a@acme.example")))
    assert type(error) is TransientError
    assert "no device code" in error.message


@pytest.mark.parametrize(("word", "interval"), [("slow_down", 12.0), ("authorization_pending", 7.0)])
def test_an_authority_that_wants_patience_gets_it(graph: Graph, app: EntraApp, tmp_path: Path, word: str, interval: float) -> None:
    code = DeviceCode(user_code="A", url="https://x.example", device_code="d", interval=7, lasts=900)
    with answering({"error": word}, folder=tmp_path, status=400) as given:
        found = consent(graph, app, device_code=True, **given).poll(code)
    assert isinstance(found, DeviceCode)
    assert found.interval == interval


def test_a_device_code_without_a_second_refresh_token_keeps_the_first(graph: Graph, app: EntraApp, tmp_path: Path) -> None:
    code = DeviceCode(user_code="A", url="https://x.example", device_code="d", interval=7, lasts=900)
    first, second = ({"access_token": text, "expires_in": 60} for text in ("mail", "profile"))
    with answering({**first, "refresh_token": "r"}, second, folder=tmp_path) as given:
        found = consent(graph, app, device_code=True, **given).poll(code)
    assert found == Grant(Token("profile", 60.0), "r")


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"id": "1-2", "mail": None, "userPrincipalName": "irina@outlook.example"}, ["irina@outlook.example", "1-2"]),
        ({"id": "1-2", "proxyAddresses": ["SMTP:A@x", "smtp:b@x", "X500:/o=x", 7, None]}, ["A@x", "b@x", "1-2"]),
        ({"id": "1-2", "mail": "a@x", "proxyAddresses": "smtp:b@x"}, ["a@x", "1-2"]),
        ({"id": "1", "mail": "a@x", "userPrincipalName": "a@x", "proxyAddresses": ["SMTP:a@x"]}, ["a@x", "1"]),
    ],
)
def test_all_names_of_a_mailbox_are_known_and_no_others(
    graph: Graph, app: EntraApp, tmp_path: Path, said: dict[str, object], names: list[str]
) -> None:
    """Of a private mailbox, Microsoft tells its log-in name only."""
    with answering(said, folder=tmp_path) as given:
        found = consent(graph, app, **given).names(Grant(Token("a", 60.0)))
    assert list(found) == names


APP_SECRET, CODE, REFRESH = "app-secret-" + "s" * 40, "1.Acode-" + "c" * 40, "1.Arefresh-" + "r" * 40


@pytest.mark.parametrize(
    ("step", "repeated"),
    [
        (lambda way: way.redeem(request("a@acme.example"), CODE), CODE),
        (lambda way: way.redeem(request("a@acme.example"), CODE), VERIFIER),
        (lambda way: way.redeem(request("a@acme.example"), CODE), APP_SECRET),
        (lambda way: way.refresh("a@acme.example", "", REFRESH), REFRESH),
        (lambda way: way.refresh("a@acme.example", "", REFRESH), APP_SECRET),
        (lambda way: way.poll(DeviceCode(user_code="A", url="https://x", device_code=CODE, interval=5, lasts=900)), CODE),
    ],
)
def test_P9_no_secret_is_shown_though_microsoft_repeats_it(
    graph: Graph, app: EntraApp, tmp_path: Path, step: Callable[[Office365Consent], object], repeated: str
) -> None:
    said = {"error": "odd", "error_codes": [1], "error_description": f"AADSTS1: no such thing as {repeated}"}
    with answering(said, folder=tmp_path, status=400) as given:
        error = error_of(lambda: step(consent(graph, app, secret=secret_file(tmp_path, APP_SECRET), **given)))
    assert repeated not in f"{error!r} {error.sentences}"
    assert HIDDEN in error.message


def test_P6_a_name_that_drips_is_given_up_at_the_deadline(graph: Graph, app: EntraApp, tmp_path: Path) -> None:
    with answering({"id": "1-2", "more": "x" * 500_000}, folder=tmp_path, drips=True) as given:
        way = consent(graph, app, timeout="1s", **given)
        error = error_of(lambda: way.names(Grant(Token("a", 60.0))))
    assert isinstance(error, TransientError)


# --- mail by a person's token -------------------------------------------------------------------------------------------


class Keeper:
    """Keeps one consent, as the kernel does."""

    def __init__(self, way: Office365Consent, grant: Grant) -> None:
        self.way = way
        self.refresh_token = grant.refresh_token

    def renewed(self, use: TokenUse) -> Token:
        grant = self.way.refresh(use.user, use.resource, self.refresh_token)
        self.refresh_token = grant.refresh_token
        return grant.token

    def mark(self, use: TokenUse) -> bytes:
        del use
        return b""


@pytest.fixture
def personal(graph: Graph, app: EntraApp, mailbox: ExchangeMailbox) -> Office365Options:
    """The options of an account whose person has consented, named by an alias of its mailbox."""
    given = options(graph, app)
    way = Office365Consent(given)
    source = TokenSource(Office365Credential(given))
    source.keep_consents(Keeper(way, connected(graph, way, mailbox, graph.authority)))
    mailbox.aliases = [new_address()]
    account = {"mailbox": mailbox.aliases[0], "credential": source, "graph": graph.base, "ca_file": graph.ca_file}
    return Office365Options.model_validate(account)


def test_mail_is_listed_and_may_be_moved_by_a_persons_token(
    personal: Office365Options, graph: Graph, mailbox: ExchangeMailbox
) -> None:
    mails = [mailbox.deliver(mail(number)) for number in range(2)]
    with closing(Office365(personal, account="irina").open()) as session:
        mailbox.folder("Imported")
        assert session.problems(["INBOX"], Action(do="move", folder="Imported")) == []
        cursor = last_cursor(session)
        assert [one.key for one in keys(session)] == [one.immutable_id for one in mails]
        mailbox.deliver(mail(3))
        assert len(keys(session, cursor)) == 1
    requests = graph.log.find(f"/v1.0/users/{personal.mailbox}")
    assert requests == []


def test_what_a_persons_token_may_do_is_told_where_the_mailbox_is_shut(
    personal: Office365Options, mailbox: ExchangeMailbox
) -> None:
    mailbox.is_licensed = False
    with closing(Office365(personal, account="irina").open()) as session:
        (told,) = session.problems(["INBOX"], None)
    assert "the access token has Mail.ReadWrite, Mail.Send, User.Read" in told


@pytest.mark.parametrize("mime_bytes", [2 << 20, 0])
def test_mail_is_sent_by_a_persons_token(personal: Office365Options, graph: Graph, mime_bytes: int) -> None:
    sender = personal.model_copy(update={"mime_bytes": mime_bytes})
    with closing(Office365Forwarder(sender, name="irina").open()) as courier:
        assert courier.problems() == []
        (receipt,) = courier.deliver([make_parcel(1, to=["a@example.com"])])
    assert {one.state for one in receipt.recipients} == {"delivered"}
    assert graph.delivered[-1].recipient == "a@example.com"
