"""A stand-in for Microsoft's login and the mail of Microsoft Graph, over TLS on this machine: ``with Graph() as graph: ...``."""

from __future__ import annotations

from gatewayd.runtime import lazy_imports

# It needs cryptography, which the contracts beside it do not.
__getattr__, __dir__, __all__ = lazy_imports.attributes(__name__, __file__)
