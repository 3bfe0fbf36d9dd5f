"""gatewayd: a plugin-based mail gateway daemon. All that a plugin's author imports is listed in ``__init__.pyi``."""

from __future__ import annotations

from gatewayd.runtime import lazy_imports

__getattr__, __dir__, __all__ = lazy_imports.attributes(__name__, __file__, former={"Deferred": "Retry", "Place": "Folders"})
