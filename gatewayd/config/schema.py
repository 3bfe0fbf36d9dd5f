"""JSON Schemas of the config's files, made of the kernel's models and those of the plugins: editors complete by them."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from pydantic.json_schema import models_json_schema

from gatewayd.api.credential import Credential
from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Directory, Matcher, Plugin, Transport
from gatewayd.api.store import Store
from gatewayd.config.credentials import takes_credential
from gatewayd.config.models.account import AccountFile
from gatewayd.config.models.main import GatewaydFile, NotifyConfig
from gatewayd.config.models.operator import MailTarget, OperatorFile
from gatewayd.config.models.web import WebConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaValue

    from gatewayd.registry.loading import Registry

__all__ = ["Schemas", "first_line", "opened", "schemas", "write"]

#: The files, in the order in which they are written.
_NAMES = ("gatewayd.schema.json", "operator.schema.json", "account.schema.json")
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schemas(registry: Registry) -> Mapping[str, object]:
    """Return the schemas (draft 2020-12) by the names of their files: ``gatewayd``, ``operator``, ``account``."""
    return dict(zip(_NAMES, (_gatewayd(registry), _operator(registry), _account(registry)), strict=True))


@contextmanager
def opened(folder: Path) -> Iterator[Sequence[TextIO]]:
    """Open the files of the schemas in ``folder``, which is made if it is missing, for ``write``. Raises OSError.

    What they hold stays until then. To be called before root becomes another user, who may write nothing there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        yield [stack.enter_context((folder / name).open("a", encoding="utf-8")) for name in _NAMES]


def write(files: Sequence[TextIO], registry: Registry) -> list[Path]:
    """Write the schemas into their ``opened`` files; return these. Raises OSError."""
    for file, schema in zip(files, schemas(registry).values(), strict=True):
        file.truncate(0)
        file.write(json.dumps(schema, indent=2) + "\n")
        file.flush()
    return [Path(file.name) for file in files]


class Schemas:
    """The schemas of several models, with definitions that they share."""

    def __init__(self, *models: type[BaseModel]) -> None:
        by_model, shared = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
        self._refs = {model: schema["$ref"].rpartition("/")[2] for (model, _), schema in by_model.items()}
        self.defs = {name: _as_written(schema) for name, schema in shared["$defs"].items()}

    def of(self, model: type[BaseModel]) -> JsonSchemaValue:
        """Return the schema of a model, as a copy."""
        return dict(self.defs[self._refs[model]])

    def kinds(self, offered: Sequence[type[Plugin]]) -> JsonSchemaValue:
        """Return a schema that takes the fields of the plugin that ``kind`` names."""
        return _one_of([self.kind(plugin, self.of(plugin.Options)) for plugin in offered])

    def kind(self, plugin: type[Plugin], *fields: JsonSchemaValue, lacks: Sequence[str] = ()) -> JsonSchemaValue:
        """Return a schema that takes the kind of a plugin and the ``fields`` of these models, but for those that it ``lacks``.

        Where several models know a field, it is the last one's.
        """
        properties = {name: field for model in fields for name, field in model.get("properties", {}).items() if name not in lacks}
        required = ["kind", *(name for model in fields for name in model.get("required", []))]
        return {
            "type": "object",
            "title": plugin.kind,
            "description": first_line(plugin),
            "properties": {**properties, "kind": {"const": plugin.kind}},
            "required": list(dict.fromkeys(required)),
            "additionalProperties": False,
        }

    def whole(self, name: str, schema: JsonSchemaValue) -> JsonSchemaValue:
        """Return a file's whole schema."""
        return {"$schema": _DIALECT, "$id": name, **schema, "$defs": self.defs}


def first_line(thing: object) -> str:
    """Return the first line of a docstring."""
    return (thing.__doc__ or "").strip().split("\n")[0]


def _as_written(schema: JsonSchemaValue) -> JsonSchemaValue:
    """Return a model's schema as files are written: without null, for a missing key, and with durations as text."""
    properties = {}
    for name, field in schema.get("properties", {}).items():
        others = [choice for choice in field.get("anyOf", []) if choice != {"type": "null"}]
        rest = {key: value for key, value in field.items() if key != "anyOf" and (key, value) != ("default", None)}
        if field.get("type") == "string" and isinstance(field.get("default"), float):
            rest["default"] = f"{field['default']:g}s"
        properties[name] = (others[0] if len(others) == 1 else {"anyOf": others} if others else {}) | rest
    return {**schema, "properties": properties} if properties else dict(schema)


def _gatewayd(registry: Registry) -> JsonSchemaValue:
    stores = registry.classes(Store)
    tell = [one for one in registry.classes(Forwarder) if not one.sends_mail]
    credentials = registry.classes(Credential)
    made = Schemas(GatewaydFile, WebConfig, NotifyConfig, *(plugin.Options for plugin in (*stores, *tell, *credentials)))
    block = made.of(NotifyConfig)
    through = {name: one for name, one in block["properties"].items() if name != "kind"}
    own = {**block, "properties": {"after": block["properties"]["after"]}}
    kinds = [made.kind(one, made.of(one.Options), own) for one in tell]
    notify = _one_of([{**block, "properties": through, "required": ["through"]}, *kinds])
    named = {**made.of(GatewaydFile)["properties"]["credentials"], "additionalProperties": made.kinds(credentials)}
    web = {"web": _with(made.of(WebConfig), store=made.kinds(stores))}
    schema = _with(made.of(GatewaydFile), store=made.kinds(stores), notify=notify, credentials=named, **web)
    return made.whole("gatewayd.schema.json", schema)


def _operator(registry: Registry) -> JsonSchemaValue:
    directories, matchers, forwarders = registry.classes(Directory), registry.classes(Matcher), registry.classes(Forwarder)
    made = Schemas(OperatorFile, MailTarget, *(plugin.Options for plugin in (*directories, *matchers, *forwarders)))
    entries = [
        {
            "type": "object",
            "description": first_line(matcher),
            "properties": {matcher.kind: made.of(matcher.Options)},
            "required": [matcher.kind],
            "additionalProperties": False,
        }
        for matcher in matchers
    ]
    mail = made.of(MailTarget)
    targets = [made.kind(one, mail) for one in forwarders if one.sends_mail]
    targets += [made.kind(one, made.of(one.Options)) for one in forwarders if not one.sends_mail]
    schema = _with(
        made.of(OperatorFile),
        directory=made.kinds(directories),
        matchers={"type": "array", "items": {"oneOf": [{"enum": [matcher.kind for matcher in matchers]}, *entries]}},
        targets={"type": "object", "additionalProperties": _one_of(targets)},
    )
    return made.whole("operator.schema.json", schema)


def _account(registry: Registry) -> JsonSchemaValue:
    transports = {one.kind: one for one in registry.classes(Transport)}
    forwarders = {one.kind: one for one in registry.classes(Forwarder) if one.sends_mail}
    offered: dict[str, type[Plugin]] = {**forwarders, **transports}
    credentials = registry.classes(Credential)
    made = Schemas(AccountFile, *(plugin.Options for plugin in (*offered.values(), *credentials)))
    credential = {"anyOf": [{"type": "string"}, made.kinds(credentials)]}
    kernel = made.of(AccountFile)
    kinds = []
    for kind, plugin in sorted(offered.items()):
        lacks = [] if kind in transports else ["import", "forward"]
        lacks += [] if kind in forwarders else ["send"]
        needs = {"required": [] if kind in transports else ["send"]}
        own = made.of(plugin.Options)
        own = _with(own, credential=credential) if takes_credential(plugin.Options) else own
        kinds.append(made.kind(plugin, own, kernel, needs, lacks=lacks))
    owned = [{"required": ["operators"]}, {"required": ["user"]}]
    text = {"title": "AccountFile", "description": kernel.get("description", "")}
    return made.whole("account.schema.json", {**text, "allOf": [_one_of(kinds), {"oneOf": owned}]})


def _one_of(schemas: Sequence[JsonSchemaValue]) -> JsonSchemaValue:
    return {"oneOf": schemas} if schemas else {"type": "object"}


def _with(schema: JsonSchemaValue, **fields: JsonSchemaValue) -> JsonSchemaValue:
    """Return a schema with those of plugins for ``fields`` that the kernel's model leaves open; descriptions stay."""
    known = schema["properties"]
    described = {name: {**field, "description": known[name].get("description", "")} for name, field in fields.items()}
    return {**schema, "properties": {**known, **described}}
