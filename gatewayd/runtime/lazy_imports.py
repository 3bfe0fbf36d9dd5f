"""Import the modules behind a package's public names only when a name is first used (PEP 562).

The names are listed once, in the package's stub ``__init__.pyi``: type checkers read it as it is, and this module at run time.
A process that uses few of the names starts faster: all modules of ``gatewayd`` together take about 300 ms to import.
"""

from __future__ import annotations

import re
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["attributes"]

_IMPORT = re.compile(r"^from (\S+) import (\w+) as \2$", re.MULTILINE)


def attributes(
    package: str, file: str, *, former: Mapping[str, str] | None = None
) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package that has a stub with a line for each name.

    ``package`` and ``file`` are its ``__name__`` and ``__file__``. ``former`` are new names by those of the release before, which
    still work, with a DeprecationWarning. The named modules are attributes, too. ``__getattr__`` raises ImportError where a module
    can't be imported.
    """
    home = {name: module for module, name in _IMPORT.findall(Path(file).with_suffix(".pyi").read_text(encoding="utf-8"))}

    def attribute(name: str) -> object:
        if f"{package}.{name}" in home.values():
            return import_module(f"{package}.{name}")
        if former and name in former:
            warnings.warn(f"{package}.{name} is called {former[name]} now", DeprecationWarning, stacklevel=2)
            renamed: object = getattr(sys.modules[package], former[name])
            return renamed
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            found: object = getattr(import_module(home[name]), name)
        except AttributeError as error:
            # Python would take it for a missing name, and hide the fault in the module.
            raise ImportError(f"{home[name]} can't be imported: {error}") from error
        # From now on, the name is found without this function.
        setattr(sys.modules[package], name, found)
        return found

    return attribute, lambda: sorted({*vars(sys.modules[package]), *home}), sorted(home)
