"""Notify administrators of alarms. They are kept in memory, so that the store may be away.

A notice that fails is logged and tried again, ever more rarely. It is no alarm itself.
"""

from __future__ import annotations

import secrets
import socket
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatewayd.api.forwarder import Forwarder, Notice
from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.backoff import Backoff
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Future

    from gatewayd.config import Config
    from gatewayd.config.models.main import NotifyConfig
    from gatewayd.daemon.alarms import AlarmDigest, Alarms

__all__ = ["Notices"]

#: How long to wait after a notice that failed.
_AGAIN = Backoff(first=60.0, longest=3600.0)


class Notices:
    """Used by the main thread; a thread of its own waits for servers."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._thread = WorkerThreads(1, "notices")
        self._under_way: Future[None] | None = None
        self._failures = 0
        self._at = 0.0
        #: How often something changed that may have made a notice fail.
        self._changes = 0
        self._config: Config | None = None
        self._host = socket.gethostname()

    def apply(self, config: Config) -> None:
        """Take a config over; a notice that waits is tried again if its way changed."""
        if self._config is None or _way(config) != _way(self._config):
            self._changes += 1
            self._failures, self._at = 0, 0.0
        self._config = config
        if config.notify:
            self._alarms.after = config.notify.after

    def retry(self, _files: Collection[str] = ()) -> None:
        """Try a notice that waits at once, since a secret has changed. May be called from any thread."""
        self._changes += 1
        self._at = 0.0

    def look(self) -> None:
        """Send the notice that is due; called each second, and never waits."""
        if self._under_way is not None:
            if not self._under_way.done():
                return
            self._under_way = None
        config = self._config
        if config is not None and config.notify is not None and time.monotonic() >= self._at and (news := self._alarms.due()):
            self._under_way = self._thread.submit(self._tell, config, config.notify, news, self._changes)

    def close(self) -> None:
        """Send nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    # --- in its own thread --------------------------------------------------------------------------------------------

    def _tell(self, config: Config, notify: NotifyConfig, news: AlarmDigest, changes: int) -> None:
        try:
            forwarder, notice = self._made(config, notify, news)
            with closing(forwarder.open()) as courier:
                missed = len(courier.notify(notice))
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a forwarder raises, the next try may do
            self._failures += 1
            wait = _AGAIN.wait(self._failures, jitter=0.5)
            self._at = time.monotonic() + wait
            if self._changes != changes:
                # The try that failed used the config or secret from before.
                self._failures, self._at, wait = 0, 0.0, 0.0
            journal.notice_failed(error, retry_in=wait)
            return
        self._failures, self._at = 0, 0.0
        self._alarms.told(news)
        journal.notice_sent(begun=len(news.begun), over=len(news.over), missed=missed)

    def _made(self, config: Config, notify: NotifyConfig, news: AlarmDigest) -> tuple[Forwarder, Notice]:
        account = config.accounts.get(notify.through or "")
        sender = account.sends.sender if account and account.sends else None
        domain = sender.email.rpartition("@")[2] if sender else "gatewayd.invalid"
        notice = Notice(
            message_id=f"<gatewayd.notice.{secrets.token_hex(16)}@{domain}>",
            at=datetime.now(UTC),
            host=self._host,
            begun=news.begun,
            over=news.over,
            sender=sender,
            to=tuple(dict.fromkeys(config.administrators.values())),
        )
        if notify.kind and config.notify_options is not None:
            return config.registry.get(Forwarder, notify.kind)(config.notify_options, name="notify"), notice
        if account is None or sender is None:
            raise GatewaydError(f"there is no account {notify.through!r} that sends", advice="Correct `notify.through`.")
        return config.registry.get(Forwarder, account.kind)(account.options, name=account.name), notice


def _way(config: Config) -> tuple[object, ...]:
    """Return the parts of a config by which notices are sent."""
    return config.notify, config.notify_options, config.administrators, config.accounts
