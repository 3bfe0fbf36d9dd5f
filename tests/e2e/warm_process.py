"""The process of ``tests.e2e.warm``: it imports gatewayd, then forks for each command that is asked for."""

from __future__ import annotations

import atexit
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

from pydantic import BaseModel

from gatewayd.runtime import gc_tuning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: What commands import when they come to need it: all of these packages, and some of what they use.
_PACKAGES = ["gatewayd", "gatewayd_sql"]
_IMPORTED = ["alembic.command", "pydantic.type_adapter", "rich.table", "rich.progress"]


class _Server:
    """Forks for each command that is asked for, and tells how it ends; once only, since a fork copies the tables of all memory."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        #: By the file that tells of its end: each command's id, and the socket of who waits for it.
        self._running: dict[int, tuple[int, socket.socket]] = {}

    def serve(self) -> list[str] | None:
        """Return a command's arguments in the forked process, and None when all is over."""
        control = self._control.fileno()
        asked = True
        while asked or self._running:
            poll = select.poll()
            for number in (*[control][:asked], *self._running):
                poll.register(number, select.POLLIN)
            for number, _ in poll.poll():
                if number in self._running:
                    self._tell(number)
                    continue
                request, fds, *_ = socket.recv_fds(self._control, 1 << 20, 3)
                # Those that run are waited for in the end; so their time is counted, too.
                asked = bool(request)
                if asked and self._forked(fds):
                    return _become(request, fds)
        return None

    def _forked(self, fds: list[int]) -> bool:
        """Fork; whether this is the new process, in which nothing of the others is open."""
        answer, *outputs = fds
        pid = os.fork()
        if not pid:
            for end, (_, listener) in self._running.items():
                os.close(end)
                listener.close()
            return True
        for fd in outputs:
            os.close(fd)
        listener = socket.socket(fileno=answer)
        self._running[os.pidfd_open(pid)] = pid, listener
        with suppress(BrokenPipeError):
            listener.sendall(b"%d\n" % pid)
        return False

    def _tell(self, end: int) -> None:
        pid, listener = self._running.pop(end)
        os.close(end)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        # Nobody may be listening any more.
        with listener, suppress(BrokenPipeError):
            listener.sendall(b"%d\n" % code)


def _become(request: bytes, fds: Sequence[int]) -> list[str]:
    """In the new process: take over what was asked for; return the arguments."""
    arguments, environment, is_counted = json.loads(request)
    if not is_counted and "coverage" in sys.modules:
        # One that runs for long would take half as long again; and it may be killed while it writes what it counted.
        counting = sys.modules["coverage"].Coverage.current()
        counting.stop()
        counting._auto_save = False
    for number, fd in enumerate(fds[1:], 1):
        os.dup2(fd, number)
    for fd in fds:
        os.close(fd)
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return [str(one) for one in arguments]


def modules() -> Iterator[str]:
    """Yield the names of all modules to import."""
    yield from _IMPORTED
    for package in _PACKAGES:
        found = (module.name for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."))
        yield from (name for name in found if not {"testing", "migrations", "__main__"} & {*name.split(".")})


def models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield all models: what is built of a model when it is first used is built once, and not in each command."""
    for model in base.__subclasses__():
        yield model
        yield from models(model)


def _end(command: Callable[[], None]) -> NoReturn:
    """Run a command, and end as Python does; but take no module apart, which would copy all the memory that is shared."""
    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        code = 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    for module in modules():
        import_module(module)
    # Those of the plugins, too.
    import_module("gatewayd.registry.loading").load()
    # Workers of all commands are forked from one process, too. What it forks would be counted for nothing, since that ends without
    # a word: it is counted itself in one process of the run, and no more.
    if "coverage" in sys.modules and os.environ.get("PYTEST_XDIST_WORKER", "gw0") != "gw0":
        import_module("tests.uncounted").this_process_alone()
    import_module("gatewayd.runtime.forkserver").prepare()
    for model in models(BaseModel):
        model.model_rebuild()
    gc_tuning.leave_all()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        asked = _Server(listening).serve()
    if asked is not None:
        sys.argv = ["gatewayd", *asked]
        _end(import_module("gatewayd.cli").main)
