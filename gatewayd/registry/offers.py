"""Call the hooks of a plugin's module once, and check the classes that it offers and the events that it listens to."""

from __future__ import annotations

import difflib
import inspect
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import pluggy

from gatewayd.api import hookspecs
from gatewayd.api.credential import Credential
from gatewayd.api.forwarder import Forwarder
from gatewayd.api.roles import Command, Directory, Matcher, Plugin, Transport
from gatewayd.api.store import Store
from gatewayd.errors import PluginError
from gatewayd.registry.role_classes import checked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import FunctionType

    from gatewayd.api.events import Event

__all__ = ["OBSERVERS", "ROLES", "ObserverHook", "PluginOffers", "offered", "singular"]

#: The roles by the name of the hook that offers them, without its prefix.
ROLES: Mapping[str, type[Plugin]] = {
    "transports": Transport,
    "credentials": Credential,
    "directories": Directory,
    "matchers": Matcher,
    "forwarders": Forwarder,
    "stores": Store,
    "commands": Command,
}

#: The hooks that report events, without their prefix.
OBSERVERS = ("mail_filed", "mail_failed", "delivery_settled", "account_changed", "config_loaded")

_HOOKS = tuple(f"{hookspecs.PROJECT}_{name}" for name in (*ROLES, *OBSERVERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverHook:
    """One plugin's implementation of a hook that reports events."""

    plugin: str
    #: The hook's whole name.
    hook: str
    #: Takes the event. Raises whatever the plugin raises.
    call: Callable[[Event], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginOffers:
    """The classes and observers that one plugin offers."""

    #: By role and kind.
    classes: Mapping[tuple[str, str], type[Plugin]] = field(default_factory=dict)
    observers: tuple[ObserverHook, ...] = ()

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """(role, kind) for each class, and ("observers", hook) for each hook that it observes."""
        heard = (("observers", one.hook.removeprefix(f"{hookspecs.PROJECT}_")) for one in self.observers)
        return (*self.classes, *heard)

    @property
    def sending(self) -> tuple[str, ...]:
        """The kinds of forwarders that send mail."""
        return tuple(kind for (_, kind), one in self.classes.items() if issubclass(one, Forwarder) and one.sends_mail)


def singular(role: str) -> str:
    """Return the singular of a role's name: "directory" of "directories"."""
    return role.replace("ies", "y").rstrip("s")


def offered(name: str, module: object) -> PluginOffers:
    """Call a plugin's hooks and check the classes that they return. Raises PluginError, and whatever the hooks raise."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    # Each plugin has its own manager: in a shared one, a hook that raises would lose the answers of the others.
    _look_at_hooks(manager, module)
    manager.register(module, name)
    manager.check_pending()
    heard = {caller.name for caller in manager.get_hookcallers(module) or ()}
    classes = {(role, one.kind): one for role in ROLES for one in _offers(manager, role)}
    observers = tuple(
        ObserverHook(plugin=name, hook=hook, call=partial(_told, getattr(manager.hook, hook)))
        for hook in (f"{hookspecs.PROJECT}_{word}" for word in OBSERVERS)
        if hook in heard
    )
    if not classes and not observers:
        raise PluginError("it offers nothing: expected a function marked @hookimpl, such as gatewayd_matchers")
    return PluginOffers(classes=classes, observers=observers)


def _told(hear: pluggy.HookCaller, event: Event) -> object:
    # pluggy takes arguments by name only.
    return hear(event=event)


def _look_at_hooks(manager: pluggy.PluginManager, module: object) -> None:
    """Refuse hooks that pluggy would never call, and those that it could not call."""
    for name in dir(module):
        options = manager.parse_hookimpl_opts(module, name)
        if options is None:
            continue
        hook = options.get("specname") or name
        if hook not in _HOOKS:
            if options.get("optionalhook"):
                continue
            near = difflib.get_close_matches(hook, _HOOKS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(_HOOKS)}"
            raise PluginError(f"there is no hook {hook}: {hint}")
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginError(f"{name} wraps the hook {hook}, expected a function that answers it")
        _look_at_function(name, hook, getattr(module, name))


def _look_at_function(name: str, hook: str, function: FunctionType) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"{name} is an `async def`, expected a plain function: nobody would await it")
    taken = [] if hook.removeprefix(f"{hookspecs.PROJECT}_") in ROLES else ["event"]
    expected = f"expected `def {name}({', '.join(taken)})`"
    given = inspect.signature(function).parameters
    for word, one in given.items():
        plain = one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty
        if (word in taken) != plain or (word not in taken and one.default is one.empty and one.kind is one.KEYWORD_ONLY):
            raise PluginError(f"{name} takes {one}, {expected}")


def _offers(manager: pluggy.PluginManager, role: str) -> Iterator[type[Plugin]]:
    hook = getattr(manager.hook, f"{hookspecs.PROJECT}_{role}")
    answers = hook()
    # pluggy leaves out answers of None.
    if len(answers) < len(hook.get_hookimpls()) or not all(isinstance(answer, list | tuple) for answer in answers):
        raise PluginError(f"{hookspecs.PROJECT}_{role} must return a list of classes")
    seen: set[str] = set()
    for one in (one for answer in answers for one in answer):
        found = checked(one, ROLES[role])
        if found.kind in seen:
            raise PluginError(f"it offers the {singular(role)} {found.kind!r} twice")
        seen.add(found.kind)
        yield found
