"""Keep the names of the previous release working: modules and their names warn and hand on to the new ones."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MovedModule", "moved_modules", "renamed"]

#: The modules of ``gatewayd.testing`` that were moved, by their old names.
_MOVED = {
    **{
        f"contract_{name}": f"contracts.{name}"
        for name in (
            *("accounts", "admission", "bounces", "daemons", "desk", "filing", "forwarder", "leases", "ledger", "matching"),
            *("outbox", "posting", "proofs", "refused", "rereads", "sending", "store", "transport", "watch"),
        )
    },
    **{f"fake_{name}": f"fakes.{name}" for name in ("forwarder", "mailbox", "session", "transport", "watch")},
    **{name: f"servers.{name}" for name in ("dovecot_config", "postgresql", "proxy", "smtp")},
    "custodian": "contracts.custodian",
    "nasties": "messages.malformed",
}


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], object]:
    """Return a module's ``__getattr__`` (PEP 562). ``names`` are the new ones by the old ones."""

    def attribute(name: str) -> object:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(f"{module}.{name} is called {names[name]} now", DeprecationWarning, stacklevel=2)
        found: object = getattr(sys.modules[module], names[name])
        return found

    return attribute


class MovedModule(ModuleType):
    """A module's old name. The new module is imported when something of it is asked for."""

    def __init__(self, name: str, new: str) -> None:
        super().__init__(name, f"Moved to ``{new}``.")
        self.new = new

    def __getattr__(self, name: str) -> object:
        # Python itself, and whoever looks through sys.modules, asks for __path__, __file__ and the like.
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        warnings.warn(f"{self.__name__} is called {self.new} now", DeprecationWarning, stacklevel=2)
        found: object = getattr(import_module(self.new), name)
        return found


def moved_modules(package: str) -> None:
    """Make the old names of moved modules importable from ``package``."""
    for old, new in _MOVED.items():
        module = MovedModule(f"{package}.{old}", f"{package}.{new}")
        sys.modules[module.__name__] = module
        setattr(sys.modules[package], old, module)
