"""Ask the daemon: one connection a call, one deadline for all of it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from gatewayd.errors import AuthError, ConfigError, PermanentError, PluginError, TransientError
from gatewayd.rpc.calls import Failure
from gatewayd.rpc.framing import receive, send

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.rpc.calls import Call, LogIn

__all__ = ["DaemonClient"]

#: Seconds for a whole call. A directory that has to be loaded may take a while.
_TIMEOUT = 30.0
_ERRORS = {"auth": AuthError, "config": ConfigError, "plugin": PluginError, "permanent": PermanentError}

AnswerT = TypeVar("AnswerT", bound=BaseModel)


class DaemonClient:
    """Calls of the daemon that listens at one socket. Any thread may ask, several at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, call: Call | LogIn, answer: type[AnswerT]) -> AnswerT:
        """Have a call done and return its answer.

        ``answer``: what the docstring of the call names. Raises the error that the daemon answers with, and TransientError if no
        daemon is there or it does not answer in time.
        """
        until = time.monotonic() + _TIMEOUT
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                sock.settimeout(_TIMEOUT)
                sock.connect(str(self._path))
            except OSError as error:
                advice = "Start it: systemctl start gatewayd"
                raise TransientError(f"the daemon does not answer at {self._path}: {error.strerror}", advice=advice) from error
            send(sock, call.model_dump_json().encode(), until)
            content = receive(sock, until)
        try:
            return answer.model_validate_json(content)
        except ValidationError:
            self._raise(content)
            raise

    @staticmethod
    def _raise(content: bytes) -> None:
        try:
            failure = Failure.model_validate_json(content)
        except ValidationError as error:
            advice = "Restart both: they are of two versions."
            raise TransientError("the daemon's answer is none that is known here", advice=advice) from error
        if failure.error == "transient":
            raise TransientError(failure.message, advice=failure.advice, retry_after=failure.retry_after)
        raise _ERRORS[failure.error](failure.message, advice=failure.advice)
