"""The demo's config folder: two tour operators with directories of their own, a shared mailbox and a personal one."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from gatewayd_demo.mails import IRINA, OUT, RESERVATIONS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make", "password_file", "write_accounts"]

_FILES = {
    "operators/acme.yaml": """\
title: Acme Tours
brands: [DB1, DB2]
directory: {kind: csv, folder: acme}
matchers:
  - contacts
  - reservations: {prefixes: [B, O, L]}
  - threads
targets:
  duty: {kind: smtp, account: acme-out, to: [duty@acme.example]}
forward:
  - {when: {linked: supplier, attachment: true}, to: duty}
users:
  irina: {name: Irina Mari, email: irina@acme.example}
""",
    "operators/globetrot.yaml": """\
title: Globetrot
brands: [GT]
directory: {kind: csv, folder: globetrot}
matchers:
  - reservations: {prefixes: [B]}
""",
    "acme/persons.csv": """\
id,name,email,temporary
P1,Anna Berger,anna.berger@nordreisen.example;a.berger@privat.example,no
P2,José Duarte,jose@clube-atlantico.example,no
P3,Marie Lefèvre,marie@voyages-lefevre.example,no
P4,Alpenbus Disposition,dispo@alpenbus.example,no
P5,Mary Whitfield,m.whitfield@stanmore-school.example,yes
""",
    "acme/customers.csv": """\
id,name,main_contact
C1,Nord Reisen GmbH,P1
C2,Clube Atlântico,P2
C3,Voyages Lefèvre,P3
""",
    "acme/suppliers.csv": """\
id,name,main_contact
S1,Hotel Bellavista Roma,
S2,Alpenbus AG,P4
""",
    "acme/contacts.csv": """\
owner_kind,owner_id,type,value,contact_type
supplier,S1,EMAIL,prenotazioni@bellavista.example,reservations
supplier,S1,PHONE,+39 06 555 0101,reservations
""",
    "acme/reservations.csv": """\
id,code,title
R4711,B-4711,Rome in spring
R4712,O-4712,Lisbon and Sintra
R4713B,B-4713,Provence by bike
R4713O,O-4713,Provence for gourmets
R5001,B-DB1-5001,Rome for schools
R6100,L-6100,Harbour round trip
""",
    "globetrot/reservations.csv": """\
id,code,title
G8001,B-8001,Prague weekend
G8002,B-GT-8002,Athens and the islands
G6100,B-GT-6100,Harbours of the north
""",
}

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
_ACCOUNTS = {
    RESERVATIONS: "kind: imap\ndescription: Shared reservations mailbox\noperators: [acme, globetrot]\n" + _SERVER,
    IRINA: "kind: pop3\ndescription: Irina's own mailbox\nuser: acme/irina\n" + _SERVER,
}


def make(folder: Path) -> None:
    """Write everything but the accounts, whose ports are not known yet. Passwords are made up anew."""
    _write(folder / "gatewayd.yaml", f"state: {json.dumps(str(folder / 'state'))}\n")
    for name, text in _FILES.items():
        _write(folder / name, text)
    for account in _ACCOUNTS:
        path = password_file(folder, account)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(18), encoding="utf-8")


def write_accounts(folder: Path, ports: dict[str, int]) -> None:
    """Write the accounts' files; ``ports`` says where their servers listen."""
    _write(folder / "accounts" / f"{OUT}.yaml", _OUT.format(port=ports[OUT]))
    for account, text in _ACCOUNTS.items():
        password = json.dumps(str(password_file(folder, account)))
        _write(folder / "accounts" / f"{account}.yaml", text.format(port=ports[account], user=account, password=password))


def password_file(folder: Path, account: str) -> Path:
    """Return where the password of an account lies."""
    return folder / "secrets" / account


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
