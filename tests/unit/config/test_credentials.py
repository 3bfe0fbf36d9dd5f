"""Credentials of the config: shared by name or an account's own, with their faults where they are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from gatewayd import TokenSource, config
from gatewayd.config import schema
from gatewayd.errors import ConfigError
from tests.unit.config.sound_folder import MAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.registry.loading import Registry

HERON = "kind: heron\noperators: [acme]\nhost: mail.example\nusername: sales@acme.example\n"
SHARED = MAIN + "credentials:\n  app: {kind: seal, wax: !env WAX}\n"


def _credential(found: config.AccountConfig) -> TokenSource:
    one: TokenSource = dict(found.options)["credential"]
    return one


def test_accounts_share_a_credential_by_its_name(load: Callable[..., config.Config]) -> None:
    named = HERON + "credential: app\n"
    own = HERON.replace("sales@", "desk@") + "credential: {kind: seal, wax: !env WAX}\n"
    other = HERON.replace("sales@", "tom@") + "credential: {kind: seal, wax: !env WAX, colour: green}\n"
    loaded = load({"gatewayd.yaml": SHARED, "accounts/a.yaml": named, "accounts/b.yaml": own, "accounts/c.yaml": other})
    assert loaded.faults == ()
    a, b, c = (loaded.accounts[name] for name in "abc")
    assert (a.credential, b.credential, c.credential) == ("app", "", "")
    assert loaded.credentials["app"] == _credential(a) == _credential(b) != _credential(c)
    assert [str(one) for one in _credential(c).secrets] == ["!env WAX"]
    needs = {(file, str(secret)) for file, secret in loaded.secrets_by_file()}
    assert {(file, "!env WAX") for file in ("gatewayd.yaml", "accounts/a.yaml", "accounts/b.yaml", "accounts/c.yaml")} <= needs
    assert dict(b.options)["password"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "accounts/a.yaml:1:1: expected either 'password' or 'credential', found neither"),
        ("password: !env P\ncredential: app\n", "accounts/a.yaml:1:1: expected either 'password' or 'credential', found both"),
        ("credential: apq\n", "accounts/a.yaml:5:13: unknown credential 'apq', did you mean 'app'?"),
        ("credential: {kind: sael, wax: !env W}\n", "accounts/a.yaml:5:20: unknown credential 'sael', did you mean 'seal'?"),
        ("credential: {wax: !env W}\n", "accounts/a.yaml:5:13: missing key 'credential.kind', expected 'seal'"),
        ("credential: {kind: seal}\n", "accounts/a.yaml:5:13: missing key 'credential.wax'"),
        ("credential: {kind: seal, wax: secret}\n", "accounts/a.yaml:5:31: credential.wax: expected a reference to a secret"),
        ("credential: 7\n", "accounts/a.yaml:5:13: credential: expected the name of a credential, or its kind and fields"),
    ],
)
def test_a_fault_of_a_credential_is_one_fault_at_its_place(load: Callable[..., config.Config], text: str, expected: str) -> None:
    loaded = load({"gatewayd.yaml": SHARED, "accounts/a.yaml": HERON + text})
    (fault,) = map(str, loaded.faults)
    assert fault.startswith(expected), fault
    assert "a" not in loaded.accounts
    assert "sales" in loaded.accounts


def test_an_account_has_its_other_faults_beside_that_of_its_credential(load: Callable[..., config.Config]) -> None:
    loaded = load({"gatewayd.yaml": SHARED, "accounts/a.yaml": HERON + "credential: apq\nport: 0\n"})
    assert [str(fault).partition(" ")[0] for fault in loaded.faults] == ["accounts/a.yaml:5:13:", "accounts/a.yaml:6:7:"]


def test_a_shared_credential_whose_plugin_is_missing_costs_only_its_accounts(load: Callable[..., config.Config]) -> None:
    shared = SHARED + "  lost: {kind: walrus, tusk: 2}\n"
    loaded = load(
        {"gatewayd.yaml": shared, "accounts/a.yaml": HERON + "credential: lost\n", "accounts/b.yaml": HERON + "credential: app\n"}
    )
    assert [str(fault) for fault in loaded.faults] == [
        "accounts/a.yaml:5:13: credential: 'lost' can't be used, see its fault in gatewayd.yaml",
        "gatewayd.yaml:5:16: unknown credential 'walrus', expected 'seal'",
    ]
    assert {"b", "sales"} <= set(loaded.accounts)


@pytest.mark.parametrize(
    ("given", "at"),
    [
        ("{app: 7}", "3:20: credentials.app: expected keys and values, found a number"),
        ("{7: {kind: seal}}", "3:15: the key '7' is no text for every YAML reader, expected it in quotes"),
        ("7", "3:14: credentials: expected keys and values, found a number"),
    ],
)
def test_credentials_that_are_none_are_faults_of_the_file_and_nothing_else_goes_wrong(
    load: Callable[..., config.Config], given: str, at: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        load({"gatewayd.yaml": f"{MAIN}credentials: {given}\n"})
    assert [str(one) for one in refused.value.faults] == [f"gatewayd.yaml:{at}"]


def test_P4_a_credential_that_can_not_be_built_costs_only_its_accounts(load: Callable[..., config.Config]) -> None:
    shared = SHARED + "  odd: {kind: seal, wax: !env WAX, colour: hunter2}\n"
    own = HERON + "credential: {kind: seal, wax: !env WAX, colour: hunter2}\n"
    loaded = load(
        {
            "gatewayd.yaml": shared,
            "accounts/a.yaml": HERON + "credential: odd\n",
            "accounts/b.yaml": own,
            "accounts/c.yaml": HERON + "credential: app\n",
        }
    )
    lines = [str(fault) for fault in loaded.faults]
    fails = "the plugin itself fails on these options: KeyError in fakes.py:"
    assert [line.rpartition(":")[0] + ":" for line in lines[1:]] == [
        f"accounts/b.yaml:5:13: {fails}",
        f"gatewayd.yaml:5:8: {fails}",
    ]
    assert lines[0] == "accounts/a.yaml:5:13: credential: 'odd' can't be used, see its fault in gatewayd.yaml"
    assert "hunter2" not in str(lines)
    assert {"c", "sales"} <= set(loaded.accounts)


@pytest.mark.parametrize(("colour", "error"), [("blue", "KeyError in fakes.py"), ("grey", "TypeError in credentials.py")])
def test_P4_consents_that_can_not_be_named_cost_only_their_accounts(
    load: Callable[..., config.Config], colour: str, error: str
) -> None:
    own = f"credential: {{kind: seal, wax: !env WAX, colour: {colour}}}\n"
    loaded = load({"accounts/a.yaml": HERON + own})
    (line,) = map(str, loaded.faults)
    assert line.startswith(f"accounts/a.yaml:5:13: the plugin itself fails on these options: {error}:")
    assert "4711" not in line
    assert "sales" in loaded.accounts
    config.consents_of(loaded, lambda: None)


def test_P4_a_faulty_credential_stops_no_other_account_and_what_runs_with_it_goes_on(load: Callable[..., config.Config]) -> None:
    named = {"accounts/a.yaml": HERON + "credential: app\n"}
    before = load({"gatewayd.yaml": SHARED, **named})
    faulty = SHARED.replace("wax:", "wx:")
    loaded = load({"gatewayd.yaml": faulty, **named})
    assert [str(fault).partition(",")[0] for fault in loaded.faults] == [
        "accounts/a.yaml:5:13: credential: 'app' can't be used",
        "gatewayd.yaml:4:8: missing key 'credentials.app.wax'",
        "gatewayd.yaml:4:21: unknown key 'credentials.app.wx'",
    ]
    assert set(loaded.accounts) == set(before.accounts) - {"a"}
    after = load({"gatewayd.yaml": faulty, **named}, load=partial(config.running, previous=before))
    assert after.accounts["a"] == before.accounts["a"]
    assert after.standing_in == ("accounts/a.yaml",)


def test_editors_complete_a_credential(registry: Registry) -> None:
    made = schema.schemas(registry)
    text = str(made["gatewayd.schema.json"])
    assert "{'const': 'seal'}" in text
    account = str(made["account.schema.json"])
    assert "{'const': 'seal'}" in account
