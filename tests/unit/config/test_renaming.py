from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from pydantic import BaseModel

from gatewayd.config.models.account import AccountFile
from gatewayd.config.models.main import GatewaydFile, NotifyConfig
from gatewayd.config.models.operator import MailTarget, OperatorFile
from gatewayd.config.renaming import file_changes
from gatewayd.config.yaml_documents import read
from gatewayd.errors import ConfigError, PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatewayd.api.renames import Named

MAIN = "# Ours.\nnotify:\n  through: out  # the one that sends\n"
ACME = """\
title: out  # not the account
targets:
  duty: {kind: smtp, account: "out", to: [duty@example.com]}
  crm: {kind: webhook, url: https://crm.example.com/out}
forward:
  - {when: {account: out, subject: out}, to: duty}
  - when:
      account: [other, 'out']
    to: [duty]
users:
  irina: {name: Irina, email: irina@example.com}  # acme/irina
  out: {name: Out, email: out@example.com}
"""
SHARED = "kind: imap\noperators: [acme, nord]  # both\nhost: acme\n"
PERSONAL = "kind: imap\nuser: acme/irina\nshare: [acme/out, nord/irina]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file, text in {
        "gatewayd.yaml": MAIN,
        "operators/acme.yaml": ACME,
        "operators/nord.yaml": "title: Nord\n",
        "accounts/out.yaml": "kind: smtp\noperators: [acme]\n",
        "accounts/shared.yaml": SHARED,
        "accounts/irina.yaml": PERSONAL,
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    return tmp_path


def rename(folder: Path, kind: Named, old: str, new: str) -> dict[str, str]:
    """Rename it, and return the files that were changed or are new."""
    before = files(folder)
    list(file_changes(folder, kind, old, new).write())
    after = files(folder)
    # Twice it does no harm.
    assert list(file_changes(folder, kind, old, new).write()) == []
    return {file: text for file, text in after.items() if before.get(file) != text}


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_bytes().decode() for path in folder.rglob("*.yaml")}


def test_an_account_is_renamed_where_it_is_named_and_nowhere_else(folder: Path) -> None:
    (folder / "operators/acme.yaml").chmod(0o640)
    changed = rename(folder, "account", "out", "post")
    assert changed == {
        "gatewayd.yaml": MAIN.replace("through: out", "through: post"),
        "operators/acme.yaml": ACME.replace('"out"', '"post"')
        .replace("account: out,", "account: post,")
        .replace("'out'", "'post'"),
        "accounts/post.yaml": "kind: smtp\noperators: [acme]\n",
    }
    assert not (folder / "accounts/out.yaml").exists()
    assert (folder / "operators/acme.yaml").stat().st_mode & 0o777 == 0o640


def test_an_operator_is_renamed_in_its_accounts_and_before_its_users(folder: Path) -> None:
    assert rename(folder, "operator", "acme", "alpha") == {
        "operators/alpha.yaml": ACME,
        "accounts/out.yaml": "kind: smtp\noperators: [alpha]\n",
        "accounts/shared.yaml": SHARED.replace("[acme,", "[alpha,"),
        "accounts/irina.yaml": "kind: imap\nuser: alpha/irina\nshare: [alpha/out, nord/irina]\n",
    }


def test_a_user_is_renamed_in_its_operator_s_file_and_in_accounts(folder: Path) -> None:
    assert rename(folder, "user", "acme/irina", "acme/nina") == {
        "operators/acme.yaml": ACME.replace("  irina:", "  nina:"),
        "accounts/irina.yaml": PERSONAL.replace("user: acme/irina", "user: acme/nina"),
    }
    assert rename(folder, "user", "acme/out", "acme/no") == {
        "operators/acme.yaml": ACME.replace("  irina:", "  nina:").replace("  out:", "  'no':"),
        "accounts/irina.yaml": "kind: imap\nuser: acme/nina\nshare: [acme/no, nord/irina]\n",
    }


@pytest.mark.parametrize("name", ["no", "1", "1e3", "on", "2026-01-31", "x.y"])
def test_a_name_that_is_no_plain_text_to_yaml_is_quoted(folder: Path, name: str) -> None:
    rename(folder, "account", "out", name)
    document = read("gatewayd.yaml", folder=folder)
    assert (document.faults, document.data) == ((), {"notify": {"through": name}})


def test_files_keep_the_ends_of_their_lines_and_their_mark(folder: Path) -> None:
    raw = b"\xef\xbb\xbfkind: imap\r\noperators:\r\n- acme\r\n- nord\r\n"
    (folder / "accounts/shared.yaml").write_bytes(raw)
    rename(folder, "operator", "nord", "south")
    assert (folder / "accounts/shared.yaml").read_bytes() == raw.replace(b"nord", b"south")


@pytest.mark.parametrize(
    ("kind", "old", "new", "says"),
    [
        ("account", "out", "shared", "there is a file accounts/shared.yaml already"),
        ("account", "none", "nothing", "there is no accounts/none.yaml, and no accounts/nothing.yaml either"),
        ("account", "out", "Out", "no account can be called 'Out'"),
        ("account", "out", "../out", "no account can be called"),
        ("operator", "acme", "nord", "there is a file operators/nord.yaml already"),
        ("user", "acme/irina", "acme/out", "acme has a user out already"),
        ("user", "acme/bob", "acme/rob", "operators/acme.yaml has no user bob, and no rob either"),
        ("user", "south/bob", "south/rob", "there is no operators/south.yaml"),
        ("user", "acme/irina", "acme/Nina", "no user can be called 'acme/Nina'"),
    ],
)
def test_what_can_not_be_meant_changes_nothing(folder: Path, kind: Named, old: str, new: str, says: str) -> None:
    before = files(folder)
    with pytest.raises(PermanentError, match=says):
        file_changes(folder, kind, old, new)
    assert files(folder) == before


def test_a_file_that_can_not_be_read_keeps_all_as_it_is(folder: Path) -> None:
    (folder / "operators/nord.yaml").write_text("targets: {duty: {account: out}\n")
    with pytest.raises(ConfigError, match=r"operators/nord.yaml can't be read, and may name out") as caught:
        file_changes(folder, "account", "out", "post")
    assert caught.value.faults


def test_a_name_that_is_written_in_an_odd_way_is_left_to_a_person(folder: Path) -> None:
    (folder / "gatewayd.yaml").write_text('notify: {through: "\\x6fut"}\n')
    with pytest.raises(ConfigError, match=r"gatewayd.yaml can't be changed") as caught:
        file_changes(folder, "account", "out", "post")
    assert str(caught.value.faults[0]) == "gatewayd.yaml:1:19: expected out in plain words or quotes, to change it to post"


def test_an_interrupted_change_is_gone_on_with(folder: Path) -> None:
    steps = file_changes(folder, "account", "out", "post").write()
    next(steps)
    del steps
    assert "through: post" in (folder / "gatewayd.yaml").read_text()
    rename(folder, "account", "out", "post")
    assert "out" not in files(folder)["gatewayd.yaml"]
    assert (folder / "accounts/post.yaml").exists()


#: Fields with a name of something else: of a target, a queue, a credential, an administrator, a forwarder.
OTHERS = {
    "accounts import.error_queue",
    "operators targets.kind",
    "operators targets",
    "operators queues",
    "operators forward.to",
    "operators forward.when.queue",
    "gatewayd.yaml notify.kind",
    "gatewayd.yaml credentials",
    "gatewayd.yaml administrators",
}
RENAMED = {
    "accounts operators",
    "accounts user",
    "accounts share",
    "operators targets.account",
    "operators forward.when.account",
    "operators users",
    "gatewayd.yaml notify.through",
}


def named(model: type[BaseModel], place: str) -> Iterator[str]:
    """Yield each field that has a name, by its place in the file."""
    for field, info in model.model_fields.items():
        here = f"{place}.{info.alias or field}" if " " in place else f"{place} {info.alias or field}"
        kind = str(info.annotation) + str(info.metadata)
        if "_matching" in kind:
            yield here
        for block in blocks(info.annotation):
            yield from named(block, here)


def blocks(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from blocks(part)


def test_every_name_in_the_models_of_the_files_is_changed_or_is_of_something_else() -> None:
    found = {*named(GatewaydFile, "gatewayd.yaml"), *named(OperatorFile, "operators"), *named(AccountFile, "accounts")}
    # These blocks have plugins' fields beside them, and are validated apart.
    found |= {*named(NotifyConfig, "gatewayd.yaml notify"), *named(MailTarget, "operators targets")}
    assert found == OTHERS | RENAMED
