"""The log, written where a test can read it."""

from __future__ import annotations

import io
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from gatewayd.runtime import journal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.runtime.journal import Layout, Level


@contextmanager
def logged(layout: Layout = "plain", level: Level = "debug", stream: TextIO | None = None) -> Iterator[io.StringIO]:
    """Everything that is logged inside the block, unless it goes to another ``stream``; before and after, nothing is changed."""
    loggers = (logging.getLogger(), logging.getLogger("gatewayd"))
    before = [(logger, list(logger.handlers), logger.level) for logger in loggers]
    written = io.StringIO()
    journal.configure(layout, level, stream or written)
    try:
        yield written
    finally:
        for logger, handlers, old in before:
            logger.handlers[:] = handlers
            logger.setLevel(old)
