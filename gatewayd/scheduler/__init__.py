"""Who works when: which account is due, whose it is, who watches it, and its visits."""

from __future__ import annotations

from gatewayd.runtime import lazy_imports

# A command has threads and workers of this room, and nothing else.
__getattr__, __dir__, __all__ = lazy_imports.attributes(__name__, __file__)
