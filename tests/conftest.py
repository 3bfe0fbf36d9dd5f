from __future__ import annotations

import gc
import os
import signal
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

# Before they are imported: what fails in a contract shows its values as a test does.
pytest.register_assert_rewrite("gatewayd.testing")

from gatewayd.runtime import gc_tuning  # noqa: E402  see above
from gatewayd.testing.servers import Dovecot  # noqa: E402  see above
from gatewayd.testing.servers.postgresql import Postgresql  # noqa: E402  see above
from tests import leaks  # noqa: E402  see above
from tests.e2e import warm  # noqa: E402  see above
from tests.uncounted import counted_while_new, this_process_alone  # noqa: E402  see above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


#: Seconds of its process's time without a new line after which the lines of a test are counted no more.
_COUNTED = 0.1
#: How many bytes the tests of one process may leave behind until it ends.
_LEFT = 200 << 20


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    # Where the machine's inotify instances are used up, it looks for new mail itself.
    with Dovecot(mailbox_idle_check_interval="1 secs") as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Postgresql]:
    with Postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store(request: pytest.FixtureRequest) -> Iterator[Callable[[], str]]:
    """Return what makes a database for a ``House``, on both kinds: its URL, or nothing for SQLite in the state folder."""
    if request.param == "sqlite":
        yield lambda: ""
        return
    server: Postgresql = request.getfixturevalue("postgresql_server")
    made: list[str] = []

    def new() -> str:
        made.append(server.new_database())
        return made[-1]

    yield new
    for url in made:
        server.drop(url)


@pytest.fixture(scope="session", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Count lines in this process, and in the one that commands are forked from, which ends before coverage is reported.

    No other process is counted: each that starts would take half as long again.
    """
    own = tmp_path_factory.getbasetemp()
    environment = this_process_alone()
    if environment:
        # Of pytest-xdist's processes, each has a folder of its own in one of all.
        warm.count(environment, own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
    yield
    warm.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have each process of the run begin with its part of the tests that take long: one that is left with all of them is the last one."""
    parts: list[list[pytest.Item]] = [[] for _ in range(int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))]
    files = [list(group) for _, group in groupby(items, key=lambda item: item.path)]
    slow = [file for file in files if "e2e" in file[0].path.parts or file[0].path.name == "test_readme.py"]
    for number, file in enumerate(slow):
        parts[number % len(parts)] += file
    for file in files:
        if file not in slow:
            # Each process is given as many tests as the others, in this order.
            min(parts, key=len).extend(file)
    items[:] = chain.from_iterable(parts)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through thousands of tests each time it looks for what a test left."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count few lines of a long test and its fixtures, unless it is asked which test reaches which line."""
    if item.config.getoption("cov_context", None):
        return (yield)
    # Counting begins again once all is undone: the test may have left the process in a folder that is gone.
    # The cases of one test are of one kind.
    with counted_while_new(item.nodeid.partition("[")[0], _COUNTED):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _little_is_left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """See that tests take away what they wrote: /tmp may lie in memory."""
    yield
    files = (Path(folder, name) for folder, _, names in os.walk(tmp_path_factory.getbasetemp()) for name in names)
    left = sum(file.lstat().st_blocks * 512 for file in files)
    assert left < _LEFT, f"{left} bytes are left in {tmp_path_factory.getbasetemp()}"


@pytest.fixture(scope="module", autouse=True)
def _databases_are_closed() -> Iterator[None]:
    """Fail the last test of a file if databases are left open that nobody can close any more."""
    yield
    assert leaks.left_open() == [], "these tests leave a database open"


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Undo what a command that ran in this process did: a server that a later test starts must be able to read its files."""
    before = os.umask(0o022)
    os.umask(before)
    yield
    os.umask(before)


# No example fails for its time: what must be quick is measured by tests that say so.
settings.register_profile("gatewayd", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gatewayd")

leaks.watch()
gc_tuning.collect_seldom()
for number in (signal.SIGINT, signal.SIGHUP):
    # A shell lets what it runs in the background ignore SIGINT, nohup(1) SIGHUP, and with it all processes that tests start.
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
