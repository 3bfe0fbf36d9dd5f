"""The sample config, JSON Schemas for editors, and the page that is made of the same models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import config
from gatewayd.api.forwarder import Forwarder
from gatewayd.api.options import Secret
from gatewayd.api.roles import Transport
from gatewayd.config import schema
from gatewayd.config.models.account import AccountFile
from gatewayd.config.yaml_documents import read
from gatewayd.registry import loading
from tests import docs_configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.roles import Plugin

_ROOT = Path(__file__).parents[3]
_SAMPLE = _ROOT / "config"
_FILES = [path.relative_to(_SAMPLE).as_posix() for path in sorted(_SAMPLE.rglob("*.yaml"))]


@pytest.fixture(scope="module")
def registry() -> loading.Registry:
    return loading.load(_SAMPLE / "plugins")


def _schema_of(file: str) -> str:
    return {"operators": "operator", "accounts": "account"}.get(file.partition("/")[0], "gatewayd") + ".schema.json"


def _fits(value: object, rule: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    """Whether ``value`` fits ``rule``, by those keywords of JSON Schema that the schemas use."""
    if "$ref" in rule:
        return _fits(value, defs[rule["$ref"].removeprefix("#/$defs/")], defs)
    if "const" in rule or "enum" in rule:
        return value in rule.get("enum", [rule.get("const")])
    every = all(_fits(value, one, defs) for one in rule.get("allOf", []))
    one = "oneOf" not in rule or sum(_fits(value, one, defs) for one in rule["oneOf"]) == 1
    some = "anyOf" not in rule or any(_fits(value, one, defs) for one in rule["anyOf"])
    if not isinstance(value, dict):
        return every and one and some and _fits_plain(value, rule, defs)
    return every and one and some and rule.get("type", "object") == "object" and _fits_mapping(value, rule, defs)


def _fits_plain(value: object, rule: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    types: dict[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list, "object": dict}
    if "type" in rule and type(value) is not types[rule["type"]]:
        return False
    if isinstance(value, str):
        return re.search(rule.get("pattern", ""), value) is not None
    return not isinstance(value, list) or all(_fits(item, rule.get("items", {}), defs) for item in value)


def _fits_mapping(value: dict[str, object], rule: Mapping[str, Any], defs: Mapping[str, Any]) -> bool:
    known = rule.get("properties", {})
    more = rule.get("additionalProperties", True)
    others = more if isinstance(more, dict) else next(iter(rule.get("patternProperties", {}).values()), {})
    if any(key not in value for key in rule.get("required", [])):
        return False
    if more is False and any(key not in known for key in value):
        return False
    return all(_fits(item, known.get(key, others), defs) for key, item in value.items())


def _plain(value: object) -> object:
    """Return a file's value as an editor sees it: a secret is the text behind its tag."""
    if isinstance(value, Secret):
        return value.name
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("file", _FILES)
def test_every_sample_file_fits_its_schema_and_names_it(file: str, registry: loading.Registry) -> None:
    rules: Any = schema.schemas(registry)[_schema_of(file)]
    document = read(file, folder=_SAMPLE)
    assert document.faults == ()
    assert _fits(_plain(document.data), rules, rules["$defs"])
    modeline = (_SAMPLE / file).read_text(encoding="utf-8").splitlines()[0]
    assert modeline == f"# yaml-language-server: $schema={'../' * file.count('/')}{_schema_of(file)}"


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("accounts/irina.yaml", {"hots": "pop.example.com"}),
        ("accounts/irina.yaml", {"kind": "pop33"}),
        ("accounts/irina.yaml", {"operators": ["acme"]}),
        ("accounts/irina.yaml", {"security": "ssl"}),
        ("accounts/irina.yaml", {"timeout": "60"}),
        ("accounts/irina.yaml", {"port": None}),
        ("accounts/irina.yaml", {"import": {"folder": ["INBOX"]}}),
        ("operators/acme.yaml", {"matchers": ["contact"]}),
        ("operators/acme.yaml", {"matchers": [{"vouchers": {"digit": 8}}]}),
        ("operators/acme.yaml", {"directory": {"kind": "csv"}}),
        ("operators/acme.yaml", {"targets": {"duty": {"kind": "smtp", "account": "acme-out"}}}),
        ("operators/acme.yaml", {"targets": {"duty": {"kind": "smtp", "account": "a", "to": ["x@example.com"], "mode": "as is"}}}),
        ("operators/acme.yaml", {"targets": {"crm": {"kind": "webhook", "uri": "https://crm.example.com", "secret": "crm"}}}),
        ("operators/acme.yaml", {"targets": {"crm": {"kind": "imap", "host": "imap.example.com"}}}),
        ("operators/acme.yaml", {"forward": [{"when": {}}]}),
        ("operators/acme.yaml", {"forward": [{"when": {"form": "a@example.com"}, "to": "duty"}]}),
        ("operators/acme.yaml", {"forward": [{"when": {"linked": "bookings"}, "to": "duty"}]}),
        ("operators/acme.yaml", {"forward": [{"when": {"linked": ["bookings"]}, "to": "duty"}]}),
        ("accounts/acme-out.yaml", {"import": {}}),
        ("accounts/acme-out.yaml", {"forward": {}}),
        ("accounts/acme-out.yaml", {"send": None}),
        ("accounts/acme-out.yaml", {"send": {"form": {"address": "a@example.com"}}}),
        ("accounts/irina.yaml", {"send": {"from": {"address": "a@example.com"}}}),
        ("gatewayd.yaml", {"store": {"kind": "sql", "uri": ""}}),
        ("gatewayd.yaml", {"web": {"store": {"kind": "sql", "uri": ""}}}),
    ],
)
def test_a_schema_refuses_what_the_config_refuses(file: str, change: dict[str, object], registry: loading.Registry) -> None:
    rules: Any = schema.schemas(registry)[_schema_of(file)]
    document = read(file, folder=_SAMPLE)
    changed = {key: value for key, value in {**document.data, **change}.items() if value is not None or key == "port"}
    assert not _fits(_plain(changed), rules, rules["$defs"])


def test_the_sample_has_no_faults_but_missing_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    loaded = config.load(_SAMPLE)
    assert loaded.faults == ()
    assert sorted(loaded.operators) == ["acme", "globetrot"]
    assert sorted(loaded.accounts) == ["acme-out", "irina", "reservations"]
    assert sorted(loaded.operators["acme"].targets) == ["crm", "duty"]
    assert len(loaded.operators["acme"].rules) == 4
    assert [kind for kind, _ in loaded.operators["acme"].matchers] == ["contacts", "reservations", "threads", "vouchers"]
    files = ["operators/acme.yaml", "accounts/acme-out.yaml", "accounts/irina.yaml", "accounts/reservations.yaml"]
    assert [fault.file for fault in config.outside_faults(loaded)] == sorted(files)


def test_schemas_are_written_as_files(tmp_path: Path, registry: loading.Registry) -> None:
    with schema.opened(tmp_path / "new") as files:
        written = schema.write(files, registry)
    assert [path.name for path in written] == ["gatewayd.schema.json", "operator.schema.json", "account.schema.json"]
    for path in written:
        made = json.loads(path.read_text(encoding="utf-8"))
        assert made == schema.schemas(registry)[path.name]
        assert made["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_defaults_are_written_as_files_write_them(registry: loading.Registry) -> None:
    rules: Any = schema.schemas(registry)["account.schema.json"]
    block = rules["$defs"]["ImportConfig"]["properties"]
    assert (block["every"]["default"], block["after"]["default"], block["folders"]["default"]) == ("60s", "keep", ["INBOX"])
    pop3 = next(one for one in rules["allOf"][0]["oneOf"] if one["title"] == "pop3")
    assert pop3["properties"]["timeout"]["default"] == "60s"
    assert "default" not in pop3["properties"]["port"]


def test_every_field_of_every_plugin_has_a_description(registry: loading.Registry) -> None:
    bare = [
        f"{role} {kind}: {name}"
        for role, base in loading.ROLES.items()
        for kind in registry.kinds(base)
        for name, field in registry.get(base, kind).Options.model_fields.items()
        if not field.description
    ]
    assert bare == []


def test_no_plugin_takes_a_word_of_the_kernel(registry: loading.Registry) -> None:
    kernel = {field.alias or name for name, field in AccountFile.model_fields.items()}
    for role in (Transport, Forwarder):
        for kind in registry.kinds(role):
            assert not kernel & set(registry.get(role, kind).Options.model_fields)


def test_without_plugins_any_mapping_with_a_kind_will_do() -> None:
    empty = loading.Registry(plugins=(), _classes={})
    rules: Any = schema.schemas(empty)["gatewayd.schema.json"]
    assert _fits({"state": "x", "store": {"kind": "sql"}}, rules, rules["$defs"])


def test_the_page_of_the_configuration_is_up_to_date() -> None:
    page = docs_configuration.PAGE.read_text(encoding="utf-8")
    assert page == docs_configuration.text(loading.load()), "run: python -m tests.docs"


@pytest.mark.parametrize("sample", sorted((_ROOT / "plugins").glob("*/sample.yaml")), ids=lambda path: path.parent.name)
def test_every_plugins_sample_is_what_its_options_take(sample: Path, registry: loading.Registry) -> None:
    offered: list[type[Plugin]] = [registry.get(base, kind) for base in loading.ROLES.values() for kind in registry.kinds(base)]
    own = [plugin for plugin in offered if plugin.__module__.partition(".")[0] == sample.parent.name]
    assert any(docs_configuration.takes(one, sample) for one in own)
