"""Log events about notices to administrators, and about secrets that were changed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from gatewayd.runtime.journal.saying import say, why

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["credentials_changed", "metrics_failed", "notice_failed", "notice_sent"]


def notice_sent(*, begun: int, over: int, missed: int) -> None:
    """The administrators were told of so many things that need them, and that are over; so many did not get it."""
    say(logging.WARNING if missed else logging.INFO, "administrators told", begun=begun, over=over, missed=missed or None)


def notice_failed(error: BaseException, *, retry_in: float) -> None:
    """The administrators could not be told; it is tried again."""
    say(logging.ERROR, "administrators not told", retry_in=retry_in, **why(error))


def credentials_changed(what: str, *, files: Sequence[str]) -> None:
    """A secret or CA file that these files of the config name is another than before: what was refused is tried at once."""
    say(logging.INFO, "credentials changed", what=what, files=tuple(files))


def metrics_failed(error: BaseException) -> None:
    """Metrics can't be served; all else goes on, and it is tried again."""
    say(logging.ERROR, "metrics not served", **why(error))
