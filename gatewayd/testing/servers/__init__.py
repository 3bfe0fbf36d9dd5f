"""Real servers for tests: Dovecot, PostgreSQL, an SMTP server that answers as it is told, and a proxy that breaks connections."""

from __future__ import annotations

from gatewayd.runtime import lazy_imports

# Dovecot needs trustme; the contracts, which use the proxy beside it, need pytest alone.
__getattr__, __dir__, __all__ = lazy_imports.attributes(__name__, __file__)
