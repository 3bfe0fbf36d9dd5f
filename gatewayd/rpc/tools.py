"""What calls are done with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gatewayd.rpc.mailbox_tries import MailboxTries

if TYPE_CHECKING:
    from gatewayd.access.log_in import Authenticator
    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.desk import Desk

__all__ = ["Tools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The daemon's parts that calls need. A reload of the config replaces them all."""

    config: Config
    store: Store
    desk: Desk
    authenticator: Authenticator
    mailbox_tries: MailboxTries = field(default_factory=MailboxTries)
