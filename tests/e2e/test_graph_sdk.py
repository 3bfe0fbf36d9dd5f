"""Microsoft's own libraries against the stand-in for Graph: what they understand, it says as Microsoft does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path

import pytest
import trustme

from gatewayd.testing.graph import Graph

pytestmark = pytest.mark.campaign

PROGRAM = Path(__file__).with_name("graph_sdk.py")
LIBRARIES = ["msal==1.39.0", "msgraph-sdk==1.65.0"]
HOME = PROGRAM.parents[2] / ".cache" / "graph-sdk"
#: These override what a program says of its certificates.
OVERRIDES = {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}


@pytest.fixture(scope="module")
def python() -> Path:
    """Make an environment with the libraries, once."""
    program = HOME / "bin" / "python"
    done = HOME / "installed"
    if not done.exists() or done.read_text() != "\n".join(LIBRARIES):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(HOME)], check=True, timeout=600)
        subprocess.run([program, "-m", "pip", "install", "--quiet", *LIBRARIES], check=True, timeout=1800)
        done.write_text("\n".join(LIBRARIES))
    return program


def test_msal_and_the_sdk_read_change_and_send(python: Path) -> None:
    with Graph() as graph:
        box = graph.add_mailbox("ops@acme.example", language="de")
        received = datetime(2026, 11, 22, 5, tzinfo=UTC)
        mails = [f"From: ann@x.example\r\nSubject: Mail {n}\r\n\r\nHello\r\n".encode() for n in range(3)]
        ids = [box.deliver(mail, received=received).immutable_id for mail in mails]
        graph.fail("mailFolders/inbox/messages", status=429, after=1, Retry_After="1")
        key = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("app.example", key_type=trustme.KeyType.RSA)
        graph.app.certificate = key.cert_chain_pems[0].bytes().decode()
        public = graph.add_app()
        public.is_public = public.allows_device_code = True
        given = {
            "public client": public.client,
            "address": box.address,
            "authority": graph.authority,
            "base": graph.base,
            "ca_file": str(graph.ca_file),
            "tenant": graph.tenant.id,
            "client": graph.app.client,
            "secret": graph.app.secret,
            "mailbox": box.id,
            "private_key": key.private_key_pem.bytes().decode(),
            "certificate": graph.app.certificate,
        }
        environment = {name: value for name, value in os.environ.items() if name not in OVERRIDES}
        done = subprocess.run(
            [python, PROGRAM, json.dumps(given)], capture_output=True, text=True, check=False, timeout=600, env=environment
        )
        assert done.returncode == 0, done.stderr
        got = json.loads(done.stdout)
        assert "Posteingang" in got.pop("folders")
        assert got == {
            "wrong secret": [7000215],
            "certificate": "Bearer",
            "consent": ["https://graph.microsoft.com/User.Read"] * 2 + [True, "authorization_pending"],
            "delta": [ids[:2], ids[2:], []],
            "list": ["Mail 0", "ann@x.example", "2026-11-22T05:00:00+00:00"],
            "mime": mails[0].decode(),
            "patch": True,
            "move": True,
            "upload": [200, 201],
            "missing": ["ODataError", 404, "ErrorItemNotFound"],
        }
        assert [message_from_bytes(copy.mime)["To"] for copy in graph.delivered] == ["Bob <bob@x.example>"] * 2
        assert [len(box.messages(folder)) for folder in ("inbox", "recoverableitemsdeletions", "sentitems")] == [2, 1, 2]
        (throttled,) = graph.log.find("mailFolders/inbox/messages", status=429)
        assert throttled.retry_after == 1
        assert graph.log.too_early(slack=0) == []
        assert not [one for one in graph.log.find("PUT /upload/") if one.has_authorization]
