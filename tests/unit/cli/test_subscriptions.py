"""``subscriptions`` on a store and a config: who shares with whom, and which lists show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gatewayd.testing.contracts.custodian import Custodian, make_filing, make_raw

if TYPE_CHECKING:
    from tests.unit.cli.status_house import Desk

USERS = "users:\n" + "".join(f"  {name}: {{name: {name}, email: {name}@acme.example}}\n" for name in ("irina", "tom", "ann"))


@pytest.fixture
def desk(place: Desk) -> Desk:
    place.house.operator("acme", matchers="[contacts]", more=USERS)
    place.house.operator("globetrot", matchers="[contacts]", more=USERS)
    place.house.account("reservations", "imap", 1, "desk", more="operators: [acme]\n")
    own(place)
    for number, (account, user) in enumerate((("reservations", None), ("own", "irina")), 1):
        hand = Custodian.of(place.store, account)
        raw = make_raw(number, subject=account)
        hand.file("1", raw, make_filing("acme", user=user))
        place.store.release(hand.lease)
    return place


def own(place: Desk, more: str = "") -> None:
    place.house.account("own", "imap", 1, "irina", more=f"user: acme/irina\n{more}")


def listed(desk: Desk, user: str, *more: str) -> set[str]:
    done = desk.run("mail", "list", "--user", f"acme/{user}", "--json", *more)
    assert done.code == 0, done
    return {row["subject"] for row in done.rows}


def subscriptions(desk: Desk, verb: str, *words: str, user: str) -> tuple[int, str]:
    done = desk.run("subscriptions", verb, *words, "--user", f"acme/{user}")
    return done.code, done.out + done.err


def test_a_user_asks_the_owner_agrees_and_ends_it(desk: Desk) -> None:
    assert (listed(desk, "irina"), listed(desk, "tom")) == ({"reservations", "own"}, {"reservations"})
    assert "irina is asked, and agrees" in subscriptions(desk, "ask", "own", user="tom")[1]
    assert "irina is asked already" in subscriptions(desk, "ask", "own", user="tom")[1]
    assert "Somebody asks" in subscriptions(desk, "show", user="irina")[1]
    assert "Somebody asks" not in subscriptions(desk, "show", user="tom")[1]
    assert listed(desk, "tom") == {"reservations"}
    assert "tom is refused" in subscriptions(desk, "refuse", "own", "tom", user="irina")[1]
    assert "does not ask" in subscriptions(desk, "refuse", "own", "tom", user="irina")[1]
    assert "is shared with tom." in subscriptions(desk, "agree", "own", "acme/tom", user="irina")[1]
    assert "is shared with tom already" in subscriptions(desk, "agree", "own", "tom", user="irina")[1]
    assert "is shared with tom" in subscriptions(desk, "ask", "own", user="tom")[1]
    assert (listed(desk, "tom"), listed(desk, "ann")) == ({"reservations", "own"}, {"reservations"})
    rows = desk.run("subscriptions", "show", "--user", "acme/tom", "--json").rows
    assert rows == [
        {"type": "account", "account": "reservations", "kind": "general", "owner": None, "followed": True},
        {"type": "account", "account": "own", "kind": "shared", "owner": "irina", "followed": True},
        {"type": "share", "account": "own", "owner": "irina", "user": "tom", "state": "agreed", "by": "owner"},
    ]
    assert subscriptions(desk, "end", "own", "tom", user="irina")[0] == 0
    assert listed(desk, "tom") == {"reservations"}
    assert "does not share" in subscriptions(desk, "end", "own", "tom", user="irina")[1]


def test_P6_the_file_shares_too_and_each_ends_its_own(desk: Desk) -> None:
    own(desk, "share: [acme/tom]\n")
    assert listed(desk, "tom") == {"reservations", "own"}
    assert "an administrator ends that" in subscriptions(desk, "end", "own", "tom", user="irina")[1]
    assert subscriptions(desk, "agree", "own", "tom", user="irina")[0] == 0
    assert [row["by"] for row in desk.run("subscriptions", "show", "--user", "acme/irina", "--json").of("share")] == [
        "file",
        "owner",
    ]
    assert "It is still shared by accounts/own.yaml" in subscriptions(desk, "end", "own", "tom", user="irina")[1]
    assert listed(desk, "tom") == {"reservations", "own"}
    subscriptions(desk, "agree", "own", "tom", user="irina")
    own(desk)
    assert listed(desk, "tom") == {"reservations", "own"}
    subscriptions(desk, "end", "own", "tom", user="irina")
    assert listed(desk, "tom") == {"reservations"}


def test_what_a_user_does_not_follow_is_listed_only_where_it_is_named(desk: Desk) -> None:
    assert "1 account no longer followed" in subscriptions(desk, "set", "reservations", "--off", user="irina")[1]
    assert (listed(desk, "irina"), listed(desk, "tom")) == ({"own"}, {"reservations"})
    assert listed(desk, "irina", "--account", "reservations") == {"reservations"}
    followed = desk.run("subscriptions", "show", "--user", "acme/irina", "--json").of("account")
    assert [(row["account"], row["followed"]) for row in followed] == [("reservations", False), ("own", True)]
    shown = desk.run("remote", "--user", "acme/irina")
    assert ("(!) own" in shown.out, "(!) reservations" in shown.out) == (True, False), "no server is there"
    assert "(!) reservations" in desk.run("remote", "reservations", "--user", "acme/irina").out
    assert "1 account followed" in subscriptions(desk, "set", "reservations", user="irina")[1]
    assert listed(desk, "irina") == {"reservations", "own"}


@pytest.mark.parametrize(
    ("words", "user", "said"),
    [
        (("ask", "reservations"), "tom", "is not the personal account of another user of acme"),
        (("ask", "own"), "irina", "is not the personal account of another user of acme"),
        (("ask", "nothing"), "tom", "there is no account 'nothing'"),
        (("agree", "own", "ann"), "tom", "is not tom's own"),
        (("agree", "reservations", "tom"), "irina", "is not irina's own"),
        (("agree", "own", "irina"), "irina", "is the account's own user"),
        (("agree", "own", "irina"), "tom", "is not tom's own"),
        (("agree", "own", "globetrot/tom"), "irina", "globetrot/tom is no user of operator acme"),
        (("agree", "own", "bob"), "irina", "operator acme has no user 'bob'"),
        (("set", "own"), "tom", "tom has no mail of account own"),
        (("show",), "bob", "operator acme has no user 'bob'"),
    ],
)
def test_P6_nobody_shares_or_follows_what_is_not_his(desk: Desk, words: tuple[str, ...], user: str, said: str) -> None:
    code, text = subscriptions(desk, *words, user=user)
    assert (code in {1, 2}, said in text) == (True, True), text
    assert listed(desk, "tom") == {"reservations"}
