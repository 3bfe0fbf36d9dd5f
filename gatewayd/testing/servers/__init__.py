"""Real servers for tests: Dovecot, PostgreSQL, an SMTP server that answers as it is told, and a proxy that breaks connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.runtime import lazy_imports

__all__ = ["Dovecot", "Snapshot", "modified_utf7"]

if TYPE_CHECKING:
    from gatewayd.testing.servers.dovecot import Dovecot, Snapshot, modified_utf7
else:
    # Dovecot needs trustme; the contracts, which use the proxy beside it, need pytest alone.
    __getattr__ = lazy_imports.attributes(__name__, {"dovecot": "Dovecot Snapshot modified_utf7"})
