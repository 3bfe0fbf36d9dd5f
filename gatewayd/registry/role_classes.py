"""Check a class that a plugin offers: its kind, its options, and whether the kernel can call its methods as its role says."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import ConfigDict, create_model

from gatewayd.api.credential import Credential
from gatewayd.api.delivery import Mode
from gatewayd.api.forwarder import Forwarder
from gatewayd.api.options import Options
from gatewayd.api.roles import Plugin, Transport
from gatewayd.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import BaseModel

__all__ = ["checked"]

_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}")


def checked(offered: object, base: type[Plugin]) -> type[Plugin]:
    """Return a class that a plugin offers for a role; raises PluginError if the kernel can't use it."""
    if not (isinstance(offered, type) and issubclass(offered, base)):
        raise PluginError(f"{offered!r} is no class derived from {base.__name__}")
    kind = getattr(offered, "kind", None)
    if not (isinstance(kind, str) and _KIND.fullmatch(kind)):
        raise PluginError(f"{offered.__name__}.kind is {kind!r}, expected a word such as 'vouchers' (a-z, 0-9, -)")
    if not (isinstance(offered.Options, type) and issubclass(offered.Options, Options)):
        raise PluginError(f"{offered.__name__}.Options is not derived from {base.__name__}.Options")
    if inspect.isabstract(offered):
        missing = ", ".join(sorted(getattr(offered, "__abstractmethods__", ())))
        raise PluginError(f"{offered.__name__} lacks {missing}")
    for wrong in (*_attributes(offered), *_methods(offered, base), *_options(offered)):
        raise PluginError(f"{offered.__name__}.{wrong}")
    return offered


def _attributes(offered: type[Plugin]) -> Iterator[str]:
    """Yield what is wrong with the attributes by which a class describes itself."""
    flags = ["tells_arrival", "keys_span_folders"] if issubclass(offered, Transport) else []
    flags += ["serves_all_users"] if issubclass(offered, Credential) else []
    flags += ["sends_mail"] if issubclass(offered, Forwarder) else []
    for name in flags:
        if type(getattr(offered, name)) is not bool:
            yield f"{name} is {getattr(offered, name)!r:.40}, expected True or False"
    if issubclass(offered, Forwarder):
        modes: object = offered.modes
        if not isinstance(modes, tuple) or "attached" not in modes or not all(one in get_args(Mode) for one in modes):
            yield f"modes is {modes!r:.40}, expected a tuple of {', '.join(get_args(Mode))}, with 'attached'"
    if issubclass(offered, Transport):
        most: object = offered.max_sessions
        if most is not None and (type(most) is not int or most < 1):
            yield f"max_sessions is {most!r:.40}, expected a whole number from 1, or None"


# --- methods ----------------------------------------------------------------------------------------------------------


def _methods(offered: type[Plugin], base: type[Plugin]) -> Iterator[str]:
    """Yield the methods that can't be called as the role defines them."""
    for name, method in inspect.getmembers(base, inspect.isfunction):
        if name == "__init__" or not name.startswith("_"):
            wrong = _call(offered, name, method)
            if wrong:
                yield wrong


def _call(offered: type[Plugin], name: str, method: Callable[..., object]) -> str:
    own = inspect.getattr_static(offered, name)
    function = own.__func__ if isinstance(own, staticmethod | classmethod) else own
    signature = inspect.signature(method)
    parameters = list(signature.parameters.values())[1:]
    expected = f"expected `def {name}(self{''.join(f', {_shown(one)}' for one in parameters)})`".replace(", *, *,", ", *,")
    if not callable(function):
        return f"{name} is a {type(own).__name__}, {expected}"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return f"{name} is an `async def`, expected a plain method: nobody would await it"
    if function is method:
        return ""
    positional = [None for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty]
    if not isinstance(own, staticmethod):
        positional.append(None)
    named = {one.name: None for one in parameters if one.kind is one.KEYWORD_ONLY}
    try:
        inspect.signature(function).bind(*positional, **named)
    except (TypeError, ValueError) as error:
        return f"{name} can't be called: {error}, {expected}"
    return ""


def _shown(one: inspect.Parameter) -> str:
    return f"*, {one.name}" if one.kind is one.KEYWORD_ONLY else one.name


# --- options ----------------------------------------------------------------------------------------------------------


def _options(offered: type[Plugin]) -> Iterator[str]:
    """Yield the fields whose defaults don't fit their types, and options that have no JSON Schema."""
    try:
        offered.Options.model_rebuild()
    except Exception as error:  # noqa: BLE001  a name in a type may be missing, for example
        yield f"Options can't be used: {_first(error)}"
        return
    for name, field in offered.Options.model_fields.items():
        if field.is_required():
            continue
        given = field.get_default(call_default_factory=True, validated_data={})
        try:
            found = _validated(offered.Options, name, given)
            same = bool(found == given)
        except Exception as error:  # noqa: BLE001  a type of the plugin's own may raise anything
            yield f"Options.{name}: its default {given!r:.60} is refused: {_first(error)}"
            continue
        if not same:
            yield f"Options.{name}: its default {given!r:.60} is not of the field's type, expected {found!r:.60}"
    try:
        offered.Options.model_json_schema()
    except Exception as error:  # noqa: BLE001  a type of the plugin's own may raise anything
        yield f"Options have no JSON Schema, which editors need: {_first(error)}"


def _validated(options: type[BaseModel], name: str, given: object) -> object:
    """Return a value as validated by one field's type. Validators of the whole model need all fields, and are left out."""
    field = options.model_fields[name]
    typed: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    # Descriptions are not needed here, and reading them costs more than all the rest.
    config = ConfigDict(**{**options.model_config, "use_attribute_docstrings": False})
    alone = create_model("Alone", __config__=config, value=(typed, ...))
    return getattr(alone.model_validate({"value": given}), "value")  # noqa: B009  its fields are made here


def _first(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    text = errors()[0]["msg"] if callable(errors) else str(error)
    return " ".join(str(text).split())[:200]
