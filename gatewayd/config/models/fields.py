"""Types of the kernel's own fields: names, addresses, patterns, start dates, actions."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import core_schema

from gatewayd.api.options import Options
from gatewayd.api.values import Action
from gatewayd.config.rules import compiled
from gatewayd.errors import PermanentError
from gatewayd.message.envelope import wire
from gatewayd.runtime.times_of_day import zone_of

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue

__all__ = [
    "ERRORS",
    "NAME",
    "After",
    "AllOrSome",
    "AnyStart",
    "Block",
    "Correspondent",
    "Email",
    "Name",
    "OneOrMore",
    "Pattern",
    "Start",
    "Text",
    "Texts",
    "TimeOfDay",
    "TimeZone",
    "User",
    "distinct",
    "yaml_keys",
]


class Block(Options):
    """The base of the kernel's models. Most are parts of others, so a validator of their own is built only when it is needed."""

    model_config = ConfigDict(use_attribute_docstrings=False, defer_build=True)


#: The error queue that every operator has.
ERRORS = "errors"
#: The name of an account, operator, user or target.
NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_USER = re.compile(rf"{NAME.pattern}/{NAME.pattern}")

#: What a folder's first listing takes: all, only what comes from now on, or what arrived at or after a time.
Start: TypeAlias = Literal["all", "now"] | datetime


def _start(value: object) -> Start:
    # YAML gives no datetime: it is from Python.
    if value == "all" or value == "now" or isinstance(value, datetime):  # noqa: PLR1714  mypy narrows this to the words
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise ValueError("expected all, now or a date such as 2026-01-31")


def _time_of_day(value: object) -> time:
    if isinstance(value, time):
        return value
    if isinstance(value, str) and re.fullmatch(_TIME, value):
        return time.fromisoformat(value)
    raise ValueError('expected a time of day in quotes, such as "07:00"')


def _time_zone(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a time zone such as Europe/Berlin")  # noqa: TRY004  pydantic translates ValueErrors
    zone_of(value)
    return value


_TIME = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_AFTER = {"keep": None, "seen": Action(do="seen"), "delete": Action(do="delete")}


def _after(value: object) -> Action | None:
    if isinstance(value, Action | None):
        # From Python: of YAML a null is refused before.
        return value
    if isinstance(value, str) and value in _AFTER:
        return _AFTER[value]
    if isinstance(value, dict) and list(value) == ["move"] and isinstance(value["move"], str) and value["move"].strip():
        return Action(do="move", folder=value["move"])
    raise ValueError("expected keep, seen, delete or {move: FOLDER}")


def _matching(pattern: re.Pattern[str], expected: str) -> PlainValidator:
    def validated(value: object) -> str:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise ValueError(f"expected {expected}")

    return PlainValidator(validated)


def _email(value: object) -> str:
    if (
        isinstance(value, str)
        and len(value) <= _MAX_EMAIL
        and re.fullmatch(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+", value)
        and _is_domain(value)
    ):
        return value
    raise ValueError("expected a mail address such as irina@example.com")


def _is_domain(address: str) -> bool:
    """Whether mail can be sent to the domain behind the @: no label is empty, and it is not a bare IP address."""
    with suppress(PermanentError):
        domain = wire(address).rpartition("@")[2]
        return not domain.endswith(".") and (domain.startswith("[") or not domain.rpartition(".")[2].isdecimal())
    return False


def _correspondent(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[^@*\s<>,;\"]*@[^@*\s<>,;\"]+", value) and len(value) <= _MAX_EMAIL:
        return value.lower()
    raise ValueError("expected a mail address or a domain such as @example.com")


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_PATTERN:
        raise ValueError(f"expected a pattern such as (?i)urgent, of at most {_MAX_PATTERN} characters")
    compiled(value)
    return value


def yaml_keys(model: type[BaseModel]) -> list[str]:
    """Return the keys of a model's fields as YAML has them."""
    return [info.alias or name for name, info in model.model_fields.items()]


def distinct(value: object) -> object:
    """Refuse a list that has a text twice."""
    if isinstance(value, list):
        twice = next((item for item in value if isinstance(item, str) and value.count(item) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is here twice, expected it once")
    return value


class OneOrMore:
    """Marks a list of distinct items that may be written as a single item, too."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: distinct([value] if isinstance(value, str) else value), handler(source)
        )

    @staticmethod
    def __get_pydantic_json_schema__(schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        made = handler(schema)
        return {"anyOf": [made["items"], made]}


class AllOrSome:
    """Marks a list of distinct names in whose place `all` may stand, which is the list of that one word then."""

    @staticmethod
    def __get_pydantic_core_schema__(source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: ["all"] if value == "all" else distinct(value), handler(source)
        )

    @staticmethod
    def __get_pydantic_json_schema__(schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [{"const": "all"}, handler(schema)]}


_MAX_EMAIL = 254
_MAX_PATTERN = 1000
_MOVE_SCHEMA = {
    "type": "object",
    "properties": {"move": {"type": "string", "minLength": 1, "description": "The folder to move to."}},
    "required": ["move"],
    "additionalProperties": False,
}
_AFTER_SCHEMA = {"oneOf": [{"enum": ["keep", "seen", "delete"]}, _MOVE_SCHEMA]}

Name = Annotated[
    str,
    _matching(NAME, "a name such as acme (a-z, 0-9, - _ .; at most 64)"),
    WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"}),
]
Email = Annotated[str, PlainValidator(_email), WithJsonSchema({"type": "string", "pattern": "^[^@\\s]+@[^@\\s]+$"})]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Correspondent = Annotated[str, PlainValidator(_correspondent), WithJsonSchema({"type": "string", "pattern": "^[^@\\s]*@[^@\\s]+$"})]
Pattern = Annotated[str, PlainValidator(_pattern), WithJsonSchema({"type": "string", "minLength": 1})]
User = Annotated[
    str, _matching(_USER, "operator/user, such as acme/irina"), WithJsonSchema({"type": "string", "pattern": f"^{_USER.pattern}$"})
]
AnyStart = Annotated[
    Start,
    PlainValidator(_start),
    WithJsonSchema({"type": "string", "pattern": "^(all|now|[0-9]{4}-[0-9]{2}-[0-9]{2})$"}),
]
After = Annotated[Action | None, PlainValidator(_after), WithJsonSchema(_AFTER_SCHEMA)]


TimeOfDay = Annotated[time, PlainValidator(_time_of_day), WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$"})]
TimeZone = Annotated[str, PlainValidator(_time_zone), WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9/_+-]+$"})]

#: A list of texts, each once.
Texts = Annotated[tuple[Text, ...], BeforeValidator(distinct)]
