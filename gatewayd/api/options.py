"""Types for the YAML fields of plugins: the base of every ``Options`` model, durations, paths and secrets.

All of it is data. A secret is a reference that is looked up when it is used, never when the config is read.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainValidator, WithJsonSchema
from pydantic_core import core_schema

from gatewayd.api.regular_files import read_regular
from gatewayd.errors import AuthError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
    from pydantic.json_schema import JsonSchemaValue

__all__ = ["ConfigPath", "Day", "Duration", "Options", "Secret"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: The longest span that nine digits and a unit can give.
_MAX_SECONDS = 999_999_999 * 86400
_MAX_SECRET = 1 << 16


def _adapt(schema: object) -> None:
    if isinstance(schema, dict):
        if schema.get("type") in ("tuple", "set", "frozenset"):
            schema["strict"] = False
        if schema.get("type") == "default" and _has_path(schema["schema"]):
            # A relative default counts from the config folder, too.
            schema["validate_default"] = True
        for key, inner in schema.items():
            if key not in ("default", "metadata", "serialization"):
                _adapt(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _adapt(inner)


def _has_path(schema: object) -> bool:
    """Whether a ``ConfigPath`` is in a field's schema."""
    if isinstance(schema, dict):
        return schema.get("function") is _config_path or any(map(_has_path, schema.values()))
    return isinstance(schema, list | tuple) and any(map(_has_path, schema))


class Options(BaseModel):
    """The YAML fields of a plugin. Unknown keys are refused, values are not converted, instances don't change.

    Fields may have their descriptions as strings below them. To find these, pydantic reads the source of each class
    that it makes; ``use_attribute_docstrings=False`` beside the base spares that where every ``Field`` has its description.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler, /) -> core_schema.CoreSchema:
        """Let a YAML list become a tuple or set, as a frozen value needs them; resolve default paths."""
        schema = handler(source)
        _adapt(schema)
        return schema


def _is_file(info: ValidationInfo) -> bool:
    """Whether the value comes from a file of the config, and not from Python."""
    return "folder" in (info.context or {})


def _duration(value: object, info: ValidationInfo) -> object:
    # Files must give the unit: nobody should have to know that a bare 60 would be seconds.
    if isinstance(value, int | float) and not isinstance(value, bool) and not _is_file(info) and 0 <= value <= _MAX_SECONDS:
        return float(value)
    found = re.fullmatch("([0-9]{1,9})([smhd])", value) if isinstance(value, str) else None
    if not found:
        seconds = "" if _is_file(info) else ", or seconds as a number"
        raise ValueError(f"expected a duration such as 60s, 5m, 2h or 1d{seconds}")
    return float(int(found[1]) * _SECONDS[found[2]])


#: A span of time as ``60s``, ``5m``, ``2h`` or ``1d``; in Python seconds, as a number or such a text.
Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,9}[smhd]$"}),
]


def _day(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) and re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value) else "")
    except ValueError:
        raise ValueError("expected a day such as 2027-03-01") from None


#: A day, as ``2027-03-01``.
Day = Annotated[date, PlainValidator(_day), WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"})]


def _config_path(value: object, info: ValidationInfo) -> object:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError("expected a path")
    if str(value).startswith("~"):
        raise ValueError("expected a path without ~, which only shells replace")
    folder = (info.context or {}).get("folder", Path())
    return Path(folder, value)


#: A path, as text or as a ``Path``; a relative one counts from the config folder, also where it is a default.
ConfigPath = Annotated[Path, BeforeValidator(_config_path), WithJsonSchema({"type": "string", "minLength": 1})]


#: systemd's prefix for the names of the files that ``LoadCredential=gatewayd:FOLDER`` loads (systemd.exec(5)).
_LOADED = "gatewayd_"


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret: ``!env NAME``, ``!file PATH`` or ``!credential NAME``. It never holds the secret itself.

    ``!credential`` reads the file of that name in ``$CREDENTIALS_DIRECTORY``, which systemd fills (systemd.exec(5),
    LoadCredential), and for a person's shell, where there is none, in the config's folder ``credentials``.
    """

    #: ``store``: a password that the store keeps sealed; its class is of its own.
    by: Literal["env", "file", "credential", "store"]
    name: str
    #: The config's folder of credentials; None: only systemd gives them.
    beside: Path | None = None

    def reveal(self) -> str:
        """Return the secret, without a newline at its end.

        Raises AuthError where it is missing, empty, unreadable or no text: the account that needs it is paused.
        """
        text = os.environ.get(self.name, "") if self.by == "env" else self._read(self._path())
        if not text:
            raise AuthError(f"the secret {self} is missing or empty", advice=self._advice())
        return text

    def _path(self) -> Path:
        if self.by == "file":
            return Path(self.name)
        given = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if given:
            own, loaded = Path(given, self.name), Path(given, _LOADED + self.name)
            return own if os.path.lexists(own) or not os.path.lexists(loaded) else loaded
        if self.beside is None:
            raise AuthError(f"the secret {self} is missing: CREDENTIALS_DIRECTORY is not set", advice=self._advice())
        return self.beside / self.name

    def _read(self, path: Path) -> str:
        try:
            raw = read_regular(path, _MAX_SECRET + 1)
            # Some editors begin a file with a byte order mark, which is no part of what was typed.
            text = raw.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError:
            raise AuthError(f"the secret {self} is not UTF-8 text", advice="Save its file as UTF-8.") from None
        except OSError as error:
            raise AuthError(f"the secret {self} can't be read: {error.strerror}", advice=self._advice()) from None
        if "\0" in text:
            raise AuthError(f"the secret {self} has NUL characters, as UTF-16 has", advice="Save its file as UTF-8.")
        if len(raw) > _MAX_SECRET:
            raise AuthError(f"the secret {self} is larger than {_MAX_SECRET} bytes", advice="Give the file of the secret itself.")
        return text

    def _advice(self) -> str:
        by_systemd = f"Give the service LoadCredential={self.name}:PATH, or set CREDENTIALS_DIRECTORY to its folder."
        beside = f"Put it into {self.beside}/{self.name}, as root; a running service takes it over when it is restarted."
        return {
            "env": f"Set the environment variable {self.name}.",
            "file": f"Put the secret into {self.name}, readable by the service's user.",
            "credential": beside if self.beside else by_systemd,
            "store": "",
        }[self.by]

    def __str__(self) -> str:
        return f"!{self.by} {self.name}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = "A reference to a secret: !env NAME, !file PATH or !credential NAME."
        return {"type": "string", "writeOnly": True, "description": text}

    @classmethod
    def _validate(cls, value: object) -> Secret:
        if not isinstance(value, cls):
            # Pydantic turns a ValueError, and no TypeError, into a fault with its place.
            what = "expected a reference to a secret: !credential NAME, !env NAME or !file PATH, never the secret itself"
            raise ValueError(what)  # noqa: TRY004  see above
        return value
