"""A 200 MB message passes import, raw and attachment with bounded memory (P5, P8)."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.house import ROOT, House

if TYPE_CHECKING:
    from pathlib import Path

    from gatewayd.testing.servers import Dovecot

SIZE = 200 << 20
PEAK_KIB = 300 << 10


def large_message() -> tuple[bytes, str]:
    """A message of 200 MB with one attachment, and the digest of the attachment."""
    line = base64.b64encode(os.urandom(57 << 10))
    folded = b"\r\n".join(line[start : start + 76] for start in range(0, len(line), 76)) + b"\r\n"
    times = SIZE // len(folded) + 1
    head = (
        b"Message-ID: <large@example.com>\r\nDate: Mon, 05 Jan 2026 10:00:00 +0100\r\nFrom: anna@example.com\r\nSubject: booking 756\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n--b\r\nContent-Type: application/zip\r\n"
        b'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="all.zip"\r\n\r\n'
    )
    digest = hashlib.sha256()
    piece = base64.b64decode(line)
    for _ in range(times):
        digest.update(piece)
    return head + folded * times + b"--b--\r\n", digest.hexdigest()


def measured(house: House, *arguments: object) -> tuple[str, int]:
    """Run a command; return the digest of its output and its peak memory in KiB; it has no children."""
    # VmHWM is of this program alone; getrusage would begin with what the test itself had in memory when it forked.
    code = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from gatewayd.cli import run\n"
        "code = run(sys.argv[1:])\n"
        "print(re.search(r'VmHWM:\\s+([0-9]+)', Path('/proc/self/status').read_text())[1], file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, "--config", str(house.folder), *map(str, arguments)]
    digest = hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        assert process.stderr
        while piece := process.stdout.read(1 << 20):
            digest.update(piece)
        err = process.stderr.read().decode()
    assert process.returncode == 0, err
    return digest.hexdigest(), int(err.split()[-1])


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_P8_two_hundred_megabytes_pass_in_bounded_memory(kind: str, dovecot: Dovecot, tmp_path: Path) -> None:
    house = House(tmp_path)
    house.operator("acme")
    user = f"large-{kind}"
    dovecot.user(user, "pass")
    raw, attachment = large_message()
    dovecot.deliver(user, [raw])
    expected = hashlib.sha256(raw).hexdigest()
    del raw
    # What is filed leaves the server: /tmp may lie in memory.
    house.account("main", kind, dovecot.ports[kind], user, imports="  after: delete\n")
    peaks = {}
    _, peaks["import"] = measured(house, "import", "main")
    (row,) = house.good("mail", "list", "--json").rows
    assert row["size"] > SIZE
    assert row["attachments"][0]["name"] == "all.zip"
    stored, peaks["raw"] = measured(house, "mail", "raw", row["id"])
    assert stored == expected
    decoded, peaks["attachment"] = measured(house, "mail", "attachment", row["id"], 1)
    assert decoded == attachment
    print(f"peak memory in MiB over {kind}:", {name: peak >> 10 for name, peak in peaks.items()})
    assert max(peaks.values()) < PEAK_KIB, peaks
