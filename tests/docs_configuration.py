"""Write docs/configuration.md from the models of the kernel and of the plugins: ``python -m tests.docs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from gatewayd import Duration
from gatewayd.api.credential import Credential
from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Directory, Matcher, Plugin, Transport
from gatewayd.api.store import Store
from gatewayd.config import schema
from gatewayd.config.models.account import AccountFile
from gatewayd.config.models.fields import Name
from gatewayd.config.models.main import GatewaydFile, NotifyConfig
from gatewayd.config.models.operator import MailTarget, OperatorFile
from gatewayd.config.yaml_documents import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gatewayd.registry.loading import Registry

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "configuration.md"
_ROLES: tuple[tuple[type[Plugin], str], ...] = (
    (Transport, "Transports: `kind` in accounts/*.yaml"),
    (Credential, "Credentials: `credentials` in gatewayd.yaml, and `credential` in accounts/*.yaml"),
    (Directory, "Directories: `directory` in operators/*.yaml"),
    (Matcher, "Matchers: `matchers` in operators/*.yaml"),
    (Forwarder, "Forwarders: `kind` in accounts/*.yaml that send, and `targets` in operators/*.yaml"),
    (Store, "Stores: `store` in gatewayd.yaml"),
)
_FILES = ((GatewaydFile, "gatewayd.yaml"), (OperatorFile, "operators/NAME.yaml"), (AccountFile, "accounts/NAME.yaml"))
_PATTERNS = {TypeAdapter(Duration).json_schema()["pattern"]: "duration", TypeAdapter(Name).json_schema()["pattern"]: "name"}
_BEGIN = """\
# Configuration

This page is made from the code by `python -m tests.docs`; don't edit it. The folder `config/` is a whole
sample. `gatewayd check` finds every fault of a config folder, and `gatewayd schema` writes JSON Schemas for editors.

## The folder

A config folder has `gatewayd.yaml`, one file for each tour operator in `operators/` and one for each mailbox to import from,
or account to send from, in `accounts/`.
The name of a file is the name of the operator or account: a-z, 0-9, `-`, `_` and `.`, at most 64 characters, and then `.yaml`.
State hangs on an account's name. Hidden files and those that editors leave behind are ignored.

Files are YAML 1.2 in UTF-8, at most 1 MiB each. Duplicate and unknown keys, keys without a value, anchors, aliases, merge
keys and further documents are faults. So is what YAML readers don't agree on: `no`, `22:30`, `012` and `1_000` want quotes where
they are text. Every fault is shown as `file:line:column: what, expected what`, all at once.

A fault of one never stops the others. For the daemon, a file with a fault runs as last accepted, over restarts as well; so does a
plugin's single file. A new account with a fault waits until it is corrected. A new operator with a fault is kept, so that its
mail is filed, but nothing is matched for it. Commands beside the daemon go by the same, and take a faulty `gatewayd.yaml` as last accepted, too.
For the daemon, faults of `gatewayd.yaml` itself stop everything: it does not start, or goes on with what it has.

Some faults lie between two files: one of an account's several operators has no file, two accounts have one mailbox, a target or a rule names an account that is not there, does not serve the operator, or can't do
what it is meant for; or an operator has a second account with `system: true`. They are told, at the line that says so, and cost
nothing else: the file runs, what goes to that target waits, that rule's condition holds for no mail, and of the system accounts the
first one by name is taken.

The daemon takes over what changes in these folders by itself. A change of `state`, `store`, `signing_key`, `limits` or `metrics`
waits for its restart.

A **duration** is `60s`, `5m`, `2h` or `1d`. A relative path counts from the config folder. A **secret** is never written down:

| YAML | is looked up, each time it is needed, in |
|---|---|
| `!credential NAME` | the file NAME in the config's folder `credentials`, which root alone can read; systemd hands it to the service |
| `!file PATH` | the file PATH; a newline at its end is left out |
| `!env NAME` | the environment variable NAME |

Editors need to know these tags: `yaml.customTags: ["!credential scalar", "!file scalar", "!env scalar"]`.
"""

_TARGETS = """\
For each name the `kind` of a forwarder. A kind that sends mail, such as `smtp`, takes these keys, and the server is that of
the account; other kinds take the keys of the forwarder, see below."""


def text(registry: Registry) -> str:
    """Return the whole page."""
    return "\n".join([_BEGIN, *_kernel(), *_plugins(registry)])


def _kernel() -> Iterator[str]:
    for model, name in _FILES:
        yield f"## {name}\n\n{schema.first_line(model).partition(': ')[2]}\n"
        made = schema.Schemas(model)
        yield _table(made.of(model), made.defs)
        for field, inner in _blocks(made.of(model), made.defs):
            yield f"### `{field}` in {name}\n\n{inner['description']}\n"
            yield _table(inner, made.defs)
        if model is GatewaydFile:
            made = schema.Schemas(NotifyConfig)
            yield f"### `notify` in {name}\n\n{made.of(NotifyConfig)['description']}\n"
            yield _table(made.of(NotifyConfig), made.defs)
        if model is OperatorFile:
            made = schema.Schemas(MailTarget)
            yield f"### `targets` in {name}\n\n{_TARGETS}\n"
            yield _table(made.of(MailTarget), made.defs)


def _blocks(model: Mapping[str, Any], defs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the models inside a model by the fields that hold them, at any depth."""
    for name, field in model["properties"].items():
        choices = (one["$ref"] for one in field.get("anyOf", ()) if "$ref" in one)
        reference = field.get("$ref") or field.get("items", {}).get("$ref") or _value(field).get("$ref") or next(choices, None)
        if reference:
            inner = defs[reference.rpartition("/")[2]]
            yield name, inner
            yield from ((f"{name}.{deeper}", further) for deeper, further in _blocks(inner, defs))


def _plugins(registry: Registry) -> Iterator[str]:
    for role, title in _ROLES:
        yield f"## {title}\n"
        for kind in registry.kinds(role):
            offered = registry.get(role, kind)
            sample = ROOT / "plugins" / offered.__module__.partition(".")[0] / "sample.yaml"
            if not sample.parent.is_dir():
                # Of a third party.
                continue
            made = schema.Schemas(offered.Options)
            yield f"### `{kind}`\n\n{schema.first_line(offered)}\n"
            yield _table(made.of(offered.Options), made.defs)
            if takes(offered, sample):
                yield f"```yaml\n{sample.read_text(encoding='utf-8').strip()}\n```\n"


def takes(offered: type[Plugin], sample: Path) -> bool:
    """Whether a sample is for this class: a package that offers several need not have one for each."""
    document = read(sample.name, folder=sample.parent)
    fields = {key: value for key, value in document.data.items() if key != "kind"}
    try:
        offered.Options.model_validate(fields, context={"folder": sample.parent})
    except ValidationError:
        return False
    return not document.faults


def _table(model: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    rows = ["| key | value | default | |", "|---|---|---|---|"]
    for name, field in model.get("properties", {}).items():
        needed = name in model.get("required", [])
        default = "**needed**" if needed else _default(field)
        rows.append(f"| `{name}` | {_type(field, defs)} | {default} | {field.get('description', '').replace('|', chr(92) + '|')} |")
    return "\n".join(rows if model.get("properties") else ["No options."]) + "\n"


def _default(field: Mapping[str, Any]) -> str:
    default = field.get("default")
    if default in (None, "", [], {}):
        return ""
    return f"`{default if isinstance(default, str) else json.dumps(default)}`"


def _type(field: Mapping[str, Any], defs: Mapping[str, Any]) -> str:  # noqa: PLR0911  one line for each kind of value
    if "anyOf" in field or "oneOf" in field:
        return " or ".join(_type(choice, defs) for choice in field.get("anyOf") or field["oneOf"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{word}`" for word in field.get("enum", [field.get("const")]))
    if field.get("writeOnly"):
        return "secret"
    if field.get("pattern") in _PATTERNS:
        return _PATTERNS[field["pattern"]]
    if field.get("type") == "array":
        return f"list of {_type(field['items'], defs)}" if field.get("items") else "list"
    if field.get("type") == "object" and _value(field):
        names = [f"`{word}`" for word in field.get("propertyNames", {}).get("enum", [])] or ["name"]
        return f"mapping of {', '.join(names)} to {_type(_value(field), defs)}"
    words = {"string": "text", "integer": "number", "number": "number", "boolean": "`true`, `false`"}
    return words.get(str(field.get("type")), "mapping")


def _value(field: Mapping[str, Any]) -> Mapping[str, Any]:
    value = field.get("additionalProperties") or next(iter(field.get("patternProperties", {}).values()), None)
    return value if isinstance(value, dict) else {}
