"""Close sessions in threads of their own, so that a server that does not answer keeps nobody waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.errors import GatewaydError
from gatewayd.runtime import journal
from gatewayd.runtime.threads import WorkerThreads

if TYPE_CHECKING:
    from gatewayd.api.session import Session
    from gatewayd.scheduler.account_state import WatchedSession
    from gatewayd.scheduler.watcher import Watcher

__all__ = ["SessionCloser", "break_off"]

_THREADS = 4


class SessionCloser:
    """Closes sessions that are watched."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher
        self._threads = WorkerThreads(_THREADS, "closing")

    def close(self, name: str, watched: WatchedSession, *, politely: bool) -> None:
        """Close a session; ``politely`` logs out, else the connection is broken first, and nothing is waited for."""
        if not politely:
            break_off(watched.session, name)
        self._threads.submit(self._close, name, watched, politely=politely)

    def end(self, timeout: float) -> bool:
        """Close the rest; return whether that succeeded in time."""
        self._threads.shutdown(wait=False)
        return self._threads.join(timeout)

    def _close(self, name: str, watched: WatchedSession, *, politely: bool) -> None:
        try:
            self._watcher.remove(name, watched.watch)
            if politely:
                watched.watch.end()
        except GatewaydError:
            # It is closed below anyway.
            pass
        except Exception as error:  # noqa: BLE001  a transport's bug must not keep the next session open
            journal.own_fault("closing", error, account=name)
        finally:
            watched.session.close()


def break_off(session: Session, account: str) -> None:
    """Break a connection. A transport that raises, against its contract, does not keep others from being broken (P4)."""
    try:
        session.abort()
    except BaseException as error:  # noqa: BLE001  a SystemExit, too
        journal.own_fault("closing", error, account=account)
