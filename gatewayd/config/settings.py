"""The settings of an account one by one, each with its value and the place where it is set."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time
from typing import TYPE_CHECKING

from pydantic import BaseModel

from gatewayd.api.token_source import TokenSource
from gatewayd.config.faults import dotted
from gatewayd.config.main import ACCEPTED
from gatewayd.config.main import FILE as MAIN
from gatewayd.config.user_accounts import is_of_user
from gatewayd.config.yaml_documents import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gatewayd.config.values import AccountConfig, Config
    from gatewayd.config.yaml_documents import YamlPath

__all__ = ["Setting", "settings"]

#: The settings that an account takes from gatewayd.yaml if its own file does not have them.
_BY_MAIN: Sequence[YamlPath] = (("time_zone",),)
#: What a user says of a mailbox.
_SAID = {"kind", "description", "user", "host", "port", "security", "username", "password"}
_UNITS = (("d", 86400), ("h", 3600), ("m", 60))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    #: The keys that lead to it, with dots between them.
    name: str
    #: As it counts, whether it is set or not. Secrets are references.
    value: str
    #: File and line; empty where the default counts.
    where: str


def settings(config: Config, account: AccountConfig) -> Sequence[Setting]:
    """Return the settings of an account in the order in which the docs have them."""
    if is_of_user(account.name):
        return [*_of_user(account)]
    file = f"accounts/{account.name}.yaml"
    copy = config.state / ACCEPTED / file if file in config.standing_in else None
    document = read(file, folder=config.folder, copy=copy)
    by_main = read(MAIN, folder=config.folder, copy=config.state / ACCEPTED / MAIN if MAIN in config.standing_in else None)
    lines = {place: by_main.where(place) for place in _BY_MAIN if place in by_main.values}
    lines |= {place: document.where(place) for place in document.values}
    whose = ("user", f"{account.operators[0]}/{account.user}") if account.user else ("operators", account.operators)
    own: dict[str, object] = {
        "kind": account.kind,
        "description": account.description,
        whose[0]: whose[1],
        **({"share": [f"{account.operators[0]}/{one}" for one in account.share]} if account.share else {}),
        "connections": "unlimited" if account.connections is None else account.connections,
        "second": account.second,
        "time_zone": account.at.zone if account.at else document.data.get("time_zone", by_main.data.get("time_zone")),
    }
    found = [*_below((), own)]
    shared = _shared(account)
    there = {key: ("credentials", account.credential, key) for key in shared if (key,) not in lines}
    lines |= {(key,): by_main.where(place) for key, place in there.items() if place in by_main.values}
    found += [*_below((), _fields(account.options) | shared)]
    # Of these two, one counts.
    imports = _fields(account.imports) | ({"every": None} if account.at else {}) if account.imports else {}
    for block, values in (("import", imports), ("send", _fields(account.sends) if account.sends else {})):
        found += _below((block,), values)
    found = [(place, value or "keep") if place == ("import", "after") else (place, value) for place, value in found]
    found += [(("forward", "approved"), [f"{one.name} <{one.email}>" for one in account.approved])] if account.approved else []
    return [Setting(name=dotted(place), value=_shown(value), where=lines.get(place, "")) for place, value in found]


def _of_user(account: AccountConfig) -> Iterator[Setting]:
    """Yield the settings of a mailbox that a user added: what the user said, and what always holds for it."""
    values = {"kind": account.kind, "description": account.description, "user": f"{account.operators[0]}/{account.user}"}
    fixed = {"connections": account.connections, "second": account.second}
    imports = _fields(account.imports) if account.imports else {}
    found = [*_below((), {**values, **fixed}), *_below((), _fields(account.options)), *_below(("import",), imports)]
    for place, value in found:
        shown = "keep" if place == ("import", "after") else _shown(value)
        yield Setting(name=dotted(place), value=shown, where="typed by the user" if place[0] in _SAID else "")


def _shared(account: AccountConfig) -> dict[str, object]:
    """Return the name of an account's shared credential, and those of its options that could be in the account's own file.

    Empty if the account shares none.
    """
    source = getattr(account.options, "credential", None)
    if not account.credential or not isinstance(source, TokenSource):
        return {}
    own = type(account.options).model_fields
    return {key: value for key, value in _fields(source.options).items() if key in own} | {"credential": account.credential}


def _fields(model: BaseModel) -> dict[str, object]:
    """Return a model's values by their keys in YAML."""
    return {field.alias or name: getattr(model, name) for name, field in type(model).model_fields.items()}


def _below(place: YamlPath, values: Mapping[str, object]) -> Iterator[tuple[YamlPath, object]]:
    """Yield every value with its place; those of a block one by one."""
    for key, value in values.items():
        inner = _fields(value) if isinstance(value, BaseModel) else value if isinstance(value, dict) else None
        if inner:
            yield from _below((*place, key), inner)
        else:
            yield (*place, key), value


def _shown(value: object) -> str:
    """Return a value as YAML would have it, or nearly so."""
    if value is None or value == {}:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    if isinstance(value, float):
        # Durations are the only numbers that are no whole ones.
        unit, seconds = next((one for one in _UNITS if value % one[1] == 0), ("s", 1))
        return f"{value / seconds:g}{unit}"
    if isinstance(value, TokenSource):
        return f"a credential of kind {value.kind}"
    # A time of day has no seconds.
    return str(value).removesuffix(":00") if isinstance(value, time) else str(value)
