"""The daemon's socket: who may connect, and that nobody who is not signed in has anything done."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatewayd import AuthError, DaemonClient, PermanentError, TransientError, calls
from gatewayd.access.log_in import Authenticator
from gatewayd.access.passwords import Passwords
from gatewayd.desk import Desk
from gatewayd.matching import LocalMatching
from gatewayd.rpc.answering import Answering
from gatewayd.rpc.framing import CALL_BYTES
from gatewayd.rpc.server import RpcServer
from gatewayd.rpc.tools import Tools
from tests.patience import LONG
from tests.unit.access.people import CHEAP, house, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Any user but root, and groups, that no file of this machine belongs to.
SOMEBODY, GROUP, OTHERS = 62846, 62847, 62848
TOKEN = "nobody has this token"

#: Becomes whom the arguments say, says "hello" to the socket, and prints what comes back.
CALLER = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[2]))
sock = socket.socket(socket.AF_UNIX)
try:
    sock.connect(sys.argv[1])
    sock.sendall((5).to_bytes(4, "big") + b"hello")
    print(sock.recv(100)[4:].decode() or "closed")
except PermissionError:
    print("refused")
except ConnectionError:
    print("closed")
"""


@pytest.fixture
def path() -> Iterator[Path]:
    """Where everybody can get to, and few may connect."""
    folder = Path(tempfile.mkdtemp(prefix="gatewayd-"))
    folder.chmod(0o711)
    yield folder / "web.sock"
    shutil.rmtree(folder)


def echo(call: bytes) -> bytes:
    return b"heard " + call


def said(path: Path, uid: int, gid: int) -> str:
    command = [sys.executable, "-c", CALLER, str(path), str(uid), str(gid)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG).stdout.strip()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_P6_only_the_pages_user_may_call(path: Path) -> None:
    with closing(RpcServer(path, echo, uids={0, SOMEBODY}, gid=GROUP)):
        found = path.stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode)) == (GROUP, 0o660)
        assert said(path, SOMEBODY, GROUP) == "heard hello"
        assert said(path, 0, 0) == "heard hello"
        # In the group, and another user: it may connect, and is not heard.
        assert said(path, SOMEBODY + 10, GROUP) == "closed"
        assert said(path, SOMEBODY, OTHERS) == "refused"
        # So the number is shown of a user whom a user namespace does not know, as the service has one; root is known everywhere.
        assert said(path, 65534, GROUP) == "heard hello"
        assert said(path, 65534, OTHERS) == "refused"
    with closing(RpcServer(path, echo, uids={0})):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert said(path, SOMEBODY, GROUP) == "refused"


def test_who_says_nothing_or_too_much_keeps_nobody_waiting(path: Path) -> None:
    with closing(RpcServer(path, echo, uids={os.geteuid()})):
        silent = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        try:
            for sock in silent:
                sock.connect(str(path))
            with socket.socket(socket.AF_UNIX) as sock:
                sock.settimeout(LONG)
                sock.connect(str(path))
                sock.sendall((CALL_BYTES + 1).to_bytes(4, "big"))
                assert sock.recv(100) == b"", "what is too long is not waited for"
            assert said(path, os.geteuid(), os.getegid()) == "heard hello"
        finally:
            for sock in silent:
                sock.close()


def test_of_two_daemons_the_first_has_the_socket_and_a_dead_one_s_is_replaced(path: Path) -> None:
    with closing(RpcServer(path, echo, uids={os.geteuid()})):
        with pytest.raises(PermanentError, match="another daemon listens there"):
            RpcServer(path, echo, uids={os.geteuid()})
        assert said(path, os.geteuid(), os.getegid()) == "heard hello"
    assert not path.exists()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with closing(RpcServer(path, echo, uids={os.geteuid()})):
        assert said(path, os.geteuid(), os.getegid()) == "heard hello"
    path.write_text("a file of somebody's")
    with pytest.raises(TransientError, match="expected a socket"):
        RpcServer(path, echo, uids={os.geteuid()})
    assert path.read_text() == "a file of somebody's"


# --- calls of nobody --------------------------------------------------------------------------------------------------

#: A value for each field that some call needs.
VALUES: dict[str, Any] = {
    "token": TOKEN,
    "old": "a",
    "new": "b",
    "password": "a",
    "code": "1",
    "unread": True,
    "followed": True,
    "agree": True,
    "what": "opened",
    "which": "new",
    "up_to": 1,
    "entry_id": 1,
    "kind": "person",
    "words": "a",
    "account": "main",
    "user": "irina",
    "mail_id": 1,
    "mail_ids": [1],
    "entry_ids": [1],
    "ids": ["1"],
}


def every_call() -> list[type[calls.Call]]:
    return [one for one in vars(calls).values() if isinstance(one, type) and issubclass(one, calls.Call) and one is not calls.Call]


@pytest.mark.parametrize("kind", every_call(), ids=lambda kind: kind.__name__)
def test_P6_nobody_who_is_not_logged_in_has_anything_done(kind: type[calls.Call], tmp_path: Path, path: Path) -> None:
    """A call that is added needs values here for what it needs."""
    config = house(tmp_path)
    with closing(opened(config)) as store:
        answering = Answering()
        needed = {name: VALUES[name] for name, field in kind.model_fields.items() if field.is_required()}
        call = kind.model_validate_json(json.dumps(needed))
        with closing(RpcServer(path, answering.answer, uids={os.geteuid()})):
            with pytest.raises(TransientError, match="the daemon is starting"):
                DaemonClient(path).ask(call, calls.Nothing)
            desk = Desk(store=store, matching=lambda: LocalMatching(config.registry), specs={})
            authenticator = Authenticator(store, passwords=Passwords(**CHEAP))
            answering.tools = Tools(config=config, store=store, desk=desk, authenticator=authenticator)
            with pytest.raises(AuthError, match="nobody is logged in"):
                DaemonClient(path).ask(call, calls.Nothing)
