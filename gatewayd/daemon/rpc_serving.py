"""Answer the calls of the web process. As long as the socket can't be made it is tried again, and mail goes on."""

from __future__ import annotations

import grp
import os
import pwd
import time
from typing import TYPE_CHECKING

from gatewayd.access.log_in import Authenticator
from gatewayd.desk import Desk
from gatewayd.errors import ConfigError, GatewaydError, PermanentError
from gatewayd.rpc.answering import Answering
from gatewayd.rpc.mailbox_tries import MailboxTries
from gatewayd.rpc.server import RpcServer
from gatewayd.rpc.tools import Tools
from gatewayd.runtime import journal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatewayd.api.store import Store
    from gatewayd.config import Config
    from gatewayd.matching import DirectoryAnswers, OperatorSpec
    from gatewayd.outgoing.routing import Router

__all__ = ["RpcServing"]

#: Seconds between two tries to make the socket.
_AGAIN = 30.0


class RpcServing:
    """Used by the main thread."""

    def __init__(self, store: Store, matching: DirectoryAnswers) -> None:
        self._store = store
        self._matching = matching
        #: One for all configs, since it counts tries.
        self._authenticator = Authenticator(store)
        self._mailbox_tries = MailboxTries()
        self._answering = Answering()
        self._config: Config | None = None
        self._server: RpcServer | None = None
        self._at = 0.0
        self._failed = False

    def apply(self, config: Config, specs: Mapping[str, OperatorSpec], router: Router) -> None:
        """Answer by this config from now on. Where the socket is does not change before a restart."""
        self._config = config
        desk = Desk(
            store=self._store,
            matching=lambda: self._matching,
            specs=specs,
            with_users=frozenset(name for name, one in config.operators.items() if one.users),
            router=lambda: router,
        )
        self._answering.tools = Tools(
            config=config, store=self._store, desk=desk, authenticator=self._authenticator, mailbox_tries=self._mailbox_tries
        )

    def look(self) -> None:
        """Begin to answer, if a try is due and the socket can be made; not beside another daemon, but after its end."""
        now = time.monotonic()
        if self._config is None or self._server is not None or now < self._at:
            return
        self._at = now + _AGAIN
        try:
            uids, gid = _whose(self._config.web.user)
            self._server = RpcServer(self._config.web_socket, self._answering.answer, uids=uids, gid=gid)
        except PermanentError:
            return
        except GatewaydError as error:
            if not self._failed:
                journal.web_calls_failed(error)
            self._failed = True

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()


def _whose(user: str | None) -> tuple[set[int], int | None]:
    """Return who may call, and the group that may connect. Raises ConfigError for a user that this machine does not have."""
    own = {0, os.geteuid()}
    if user is None:
        return own, None
    try:
        found = pwd.getpwnam(user)
        grp.getgrgid(found.pw_gid)
    except KeyError:
        raise ConfigError(f"web: user: this machine has no user {user}", advice="Make it: gatewayd install --web") from None
    return own | {found.pw_uid}, found.pw_gid
