"""JSON Schemas of the config's files, made of the kernel's models and those of the plugins: editors complete by them."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from pydantic.json_schema import models_json_schema

from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Directory, Matcher, Plugin, Transport
from gatewayd.api.store import Store
from gatewayd.config.models import AccountFile, GatewaydFile, MailTarget, NotifyConfig, OperatorFile

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pydantic import BaseModel

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
        self.defs: dict[str, dict[str, object]] = {name: _as_written(schema) for name, schema in shared["$defs"].items()}

    def of(self, model: type[BaseModel]) -> dict[str, object]:
        """Return the schema of a model, as a copy."""
        return dict(self.defs[self._refs[model]])

    def kinds(self, offered: Sequence[type[Plugin]]) -> dict[str, object]:
        """Return a schema that takes the fields of the plugin that ``kind`` names."""
        return _one_of([self.kind(plugin, self.of(plugin.Options)) for plugin in offered])

    def kind(self, plugin: type[Plugin], *fields: Mapping[str, object], lacks: Sequence[str] = ()) -> dict[str, object]:
        """Return a schema that takes the kind of a plugin and the ``fields`` of these models, but for those that it ``lacks``.

        Where several models know a field, it is the last one's.
        """
        properties = {name: field for model in fields for name, field in _mapping(model, "properties").items() if name not in lacks}
        required = ["kind", *(name for model in fields for name in _words(model, "required"))]
        return {
            "type": "object",
            "title": plugin.kind,
            "description": first_line(plugin),
            "properties": {**properties, "kind": {"const": plugin.kind}},
            "required": list(dict.fromkeys(required)),
            "additionalProperties": False,
        }

    def whole(self, name: str, schema: Mapping[str, object]) -> dict[str, object]:
        """Return a file's whole schema."""
        return {"$schema": _DIALECT, "$id": name, **schema, "$defs": self.defs}


def _as_written(schema: Mapping[str, object]) -> dict[str, object]:
    """Return a model's schema as files are written: without null, for a missing key, and with durations as text."""
    properties = {}
    for name, field in _mapping(schema, "properties").items():
        own = cast("dict[str, object]", field)
        others = [choice for choice in cast("list[dict[str, object]]", own.get("anyOf", [])) if choice != {"type": "null"}]
        default = own.get("default")
        if own.get("type") == "string" and isinstance(default, float):
            own = {**own, "default": f"{default:g}s"}
        rest = {key: value for key, value in own.items() if key != "anyOf" and (key, value) != ("default", None)}
        properties[name] = (others[0] if len(others) == 1 else {"anyOf": others} if others else {}) | rest
    return {**schema, "properties": properties} if properties else dict(schema)


def first_line(thing: object) -> str:
    """Return the first line of a docstring."""
    return (thing.__doc__ or "").strip().split("\n")[0]


def _gatewayd(registry: Registry) -> dict[str, object]:
    stores = registry.classes(Store)
    tell = [one for one in registry.classes(Forwarder) if not one.sends_mail]
    made = Schemas(GatewaydFile, NotifyConfig, *(plugin.Options for plugin in (*stores, *tell)))
    schema = made.of(GatewaydFile)
    _replace(schema, "store", made.kinds(stores))
    block = made.of(NotifyConfig)
    mail = {
        **block,
        "properties": {name: one for name, one in _mapping(block, "properties").items() if name != "kind"},
        "required": ["through"],
    }
    own = {**block, "properties": {"after": _mapping(block, "properties")["after"]}}
    _replace(schema, "notify", _one_of([mail, *(made.kind(one, made.of(one.Options), own) for one in tell)]))
    return made.whole("gatewayd.schema.json", schema)


def _operator(registry: Registry) -> dict[str, object]:
    directories = registry.classes(Directory)
    matchers = registry.classes(Matcher)
    forwarders = registry.classes(Forwarder)
    made = Schemas(OperatorFile, MailTarget, *(plugin.Options for plugin in (*directories, *matchers, *forwarders)))
    schema = made.of(OperatorFile)
    _replace(schema, "directory", made.kinds(directories))
    alone = {"enum": [matcher.kind for matcher in matchers]}
    _replace(schema, "matchers", {"type": "array", "items": {"oneOf": [alone, *(_entry(made, one) for one in matchers)]}})
    _replace(schema, "targets", {"type": "object", "additionalProperties": _targets(made, forwarders)})
    return made.whole("operator.schema.json", schema)


def _targets(made: Schemas, forwarders: Sequence[type[Forwarder]]) -> dict[str, object]:
    mail = made.of(MailTarget)
    senders = [made.kind(one, mail) for one in forwarders if one.sends_mail]
    return _one_of([*senders, *(made.kind(one, made.of(one.Options)) for one in forwarders if not one.sends_mail)])


def _entry(made: Schemas, matcher: type[Matcher]) -> dict[str, object]:
    return {
        "type": "object",
        "description": first_line(matcher),
        "properties": {matcher.kind: made.of(matcher.Options)},
        "required": [matcher.kind],
        "additionalProperties": False,
    }


def _account(registry: Registry) -> dict[str, object]:
    transports = {one.kind: one for one in registry.classes(Transport)}
    forwarders = {one.kind: one for one in registry.classes(Forwarder) if one.sends_mail}
    offered: dict[str, type[Plugin]] = {**forwarders, **transports}
    made = Schemas(AccountFile, *(plugin.Options for plugin in offered.values()))
    kernel = made.of(AccountFile)
    kinds = []
    for kind, plugin in sorted(offered.items()):
        lacks = [] if kind in transports else ["import", "forward"]
        lacks += [] if kind in forwarders else ["send"]
        needs = {"required": [] if kind in transports else ["send"]}
        kinds.append(made.kind(plugin, made.of(plugin.Options), kernel, needs, lacks=lacks))
    owned = [{"required": ["operators"]}, {"required": ["user"]}]
    text = {"title": "AccountFile", "description": kernel.get("description", "")}
    return made.whole("account.schema.json", {**text, "allOf": [_one_of(kinds), {"oneOf": owned}]})


def _one_of(schemas: Sequence[Mapping[str, object]]) -> dict[str, object]:
    return {"oneOf": schemas} if schemas else {"type": "object"}


def _replace(schema: dict[str, object], name: str, by: Mapping[str, object]) -> None:
    """Put what the plugins say in the place of a field that the kernel's model leaves open; keep its description."""
    properties = dict(_mapping(schema, "properties"))
    properties[name] = {**by, "description": _mapping(properties, name).get("description", "")}
    schema["properties"] = properties


def _mapping(schema: Mapping[str, object], key: str) -> Mapping[str, object]:
    return cast("Mapping[str, object]", schema.get(key, {}))


def _words(schema: Mapping[str, object], key: str) -> list[str]:
    return cast("list[str]", schema.get(key, []))
