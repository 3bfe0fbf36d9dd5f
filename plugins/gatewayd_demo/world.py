"""The demo's config folder: two tour operators with directories of their own, two shared mailboxes and a personal one, and a
folder that people choose from.
"""

from __future__ import annotations

import json
import secrets
import socket
from pathlib import Path

from gatewayd_demo.mails import ADDRESSES, IRINA, NEWSLETTERS, OUT, RESERVATIONS, SALES

__all__ = ["make", "password_file", "write_accounts", "write_office365"]

#: The operators' files and their directories, as they lie in the config folder.
_FILES = Path(__file__).parent / "files"

_SERVER = """\
host: 127.0.0.1
port: {port}
security: none
# The server is on this machine; a real account has `security: tls`.
insecure: true
username: {user}
password: !file {password}
import:
  every: 5s
"""
_OUT = """\
kind: smtp
description: Mail of Acme Tours that goes out
operators: [acme]
host: 127.0.0.1
port: {port}
security: none
# The server is on this machine and asks for no log-in; a real account has `security: starttls`, `username` and `password`.
insecure: true
send:
  system: true
  from: {{name: Acme Tours, address: reservations@acme.example}}
"""
_OFFICE365 = """\
kind: office365
description: Sales mailbox at Office 365, which sends, too
operators: [acme]
tenant: acme.example
client: {client}
secret: !file {secret}
mailbox: {address}
# Microsoft's login and Graph are a stand-in on this machine; a real account has none of these three.
authority: https://127.0.0.1:{port}
graph: https://127.0.0.1:{port}/v1.0
ca_file: {ca_file}
import:
  every: 2s
send:
  from: {{name: Acme Tours Sales, address: {address}}}
"""
_ACCOUNTS = {
    RESERVATIONS: "kind: imap\ndescription: Shared reservations mailbox\noperators: [acme, globetrot]\n" + _SERVER,
    NEWSLETTERS: "kind: imap\ndescription: Newsletters, of which people choose what is filed\noperators: [acme]\n"
    "# It reads another folder of the same mailbox.\nsecond: true\n" + _SERVER + f"  folders: [{NEWSLETTERS}]\n  take: chosen\n",
    IRINA: "kind: pop3\ndescription: Irina's own mailbox\nuser: acme/irina\n" + _SERVER,
}
_MAILBOXES = (RESERVATIONS, IRINA)


def make(folder: Path) -> str:
    """Write everything but the accounts, whose ports are not known yet; return where the pages are. Passwords are made up anew."""
    listen = f"127.0.0.1:{_free_port()}"
    web = f"web: {{listen: '{listen}'}}\n"
    _write(folder / "gatewayd.yaml", f"state: {json.dumps(str(folder / 'state'))}\n{web}")
    for file in _FILES.glob("*/*"):
        _write(folder / file.relative_to(_FILES), file.read_text(encoding="utf-8"))
    for account in (*_MAILBOXES, SALES):
        path = password_file(folder, account)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(18), encoding="utf-8")
    return f"http://{listen}"


def write_accounts(folder: Path, ports: dict[str, int]) -> None:
    """Write the files of the accounts of IMAP, POP3 and SMTP; ``ports`` says where their servers listen."""
    _write(folder / "accounts" / f"{OUT}.yaml", _OUT.format(port=ports[OUT]))
    for account, text in _ACCOUNTS.items():
        mailbox = RESERVATIONS if account == NEWSLETTERS else account
        password = json.dumps(str(password_file(folder, mailbox)))
        _write(folder / "accounts" / f"{account}.yaml", text.format(port=ports[mailbox], user=mailbox, password=password))


def write_office365(folder: Path, port: int, *, client: str, ca_file: Path) -> None:
    """Write the file of the account of Office 365."""
    secret = json.dumps(str(password_file(folder, SALES)))
    text = _OFFICE365.format(port=port, client=client, secret=secret, ca_file=json.dumps(str(ca_file)), address=ADDRESSES[SALES])
    _write(folder / "accounts" / f"{SALES}.yaml", text)


def password_file(folder: Path, account: str) -> Path:
    """Return where the password of an account lies, or the secret of its app."""
    return folder / "secrets" / account


def _free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
