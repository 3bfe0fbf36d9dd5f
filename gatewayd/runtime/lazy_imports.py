"""Names of a package whose modules are imported when the first of their names is asked for (PEP 562).

It is for packages of which most processes use a part. Type checkers read the imports that stand beside it.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["attributes"]


def attributes(package: str, names: Mapping[str, str], *, former: Mapping[str, str] | None = None) -> Callable[[str], object]:
    """Return a package's ``__getattr__``. ``names`` are by the module that has them, with spaces between.

    The modules are attributes, too. ``former`` are new names by those of the release before, which still work, with a
    DeprecationWarning. Raises ImportError where a module can't be imported.
    """
    home = {name: module for module, those in names.items() for name in those.split()}

    def attribute(name: str) -> object:
        if name in names:
            return import_module(f"{package}.{name}")
        if former and name in former:
            warnings.warn(f"{package}.{name} is called {former[name]} now", DeprecationWarning, stacklevel=2)
            renamed: object = getattr(sys.modules[package], former[name])
            return renamed
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            found: object = getattr(import_module(f"{package}.{home[name]}"), name)
        except AttributeError as error:
            # Python would take it for a name that we do not have, and hide what is wrong in the module.
            raise ImportError(f"{package}.{home[name]} can't be imported: {error}") from error
        # The next one who asks finds it without us.
        setattr(sys.modules[package], name, found)
        return found

    return attribute
