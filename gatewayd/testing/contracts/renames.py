"""Tests of every store: accounts, operators and users get other names, and nothing is kept under both or neither."""

# ruff: noqa: PLR2004, N802  tests are made of expected numbers and named after promises

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from gatewayd import LeaseLost, PermanentError, Query, TransientError, Viewer
from gatewayd.testing.contracts.custodian import (
    ACME,
    Custodian,
    make_delivery,
    make_filing,
    make_listing,
    make_raw,
    nobody_is_dead,
    rename,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Lease, Named, Rename, Store

__all__ = ["RenameContract"]

_BOX = "sales at imap.example.com"
_IRINA, _NINA = Viewer(operator="acme", users=("irina",)), Viewer(operator="acme", users=("nina",))


def _lease(store: Store, account: str) -> Lease:
    return Custodian.of(store, account).lease


def _intend(store: Store, kind: Named, old: str, new: str) -> Rename:
    return store.intend_rename(kind, old, new, who="anna")


class RenameContract:
    """Part of ``StoreContract``."""

    # --- accounts -----------------------------------------------------------------------------------------------------

    def test_P1_a_renamed_account_keeps_all_and_nothing_is_filed_again(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw())
        shared.enter("1", "2")
        (view,) = store.filings(ACME, Query())
        store.deliver(ACME, view.id, [make_delivery(account=shared.lease.account)])
        store.claim(shared.lease, _BOX, second=False, enter=True)
        cursor = store.folder(shared.lease.account, "INBOX")
        store.release(shared.lease)
        assert store.claim(_lease(store, "new"), _BOX, second=False, enter=True) == [shared.lease.account]
        assert rename(store, shared.lease.account, "new") == 1
        assert store.claim(_lease(store, "new"), _BOX, second=False, enter=True) == ["new"]
        assert store.folder("new", "INBOX") == cursor
        assert {key: one.state for key, one in store.known("new", "INBOX", ["1", "2"]).items()} == {"1": "filed", "2": "waiting"}
        assert store.known(shared.lease.account, "INBOX", ["1", "2"]) == {}
        (renamed,) = store.filings(ACME, Query(account="new"))
        assert (renamed.id, renamed.account) == (view.id, "new")
        assert list(store.destinations()) == ["account new"]

    def test_P7_an_account_that_only_sends_is_renamed_with_what_waits_for_it(self, store: Store) -> None:
        mail_id = Custodian.of(store).file("1", make_raw())
        old = store.deliver(ACME, mail_id, [make_delivery(1, target="duty", account="out")])
        # The new name sends by now.
        new = store.deliver(ACME, mail_id, [make_delivery(2, target="crm", account="new")])
        assert rename(store, "out", "new") == 0
        taken = store.take("account new", "me", limit=9, dead=nobody_is_dead)
        assert [one.id for one in taken] == [*old, *new]
        assert {one.delivery.account for one in taken} == {"new"}
        assert list(store.destinations()) == ["account new"]

    def test_P7_what_is_sent_by_an_older_config_goes_out_by_the_new_name(self, store: Store) -> None:
        mail_id = Custodian.of(store).file("1", make_raw())
        store.deliver(ACME, mail_id, [make_delivery(1, account="out")])
        rename(store, "out", "new")
        rename(store, "new", "newest")
        store.deliver(ACME, mail_id, [make_delivery(2, "crm@example.com", account="out")])
        assert list(store.destinations()) == ["account newest"]
        store.free_name("account", "out")
        store.deliver(ACME, mail_id, [make_delivery(3, "third@example.com", account="out")])
        assert sorted(store.destinations()) == ["account newest", "account out"]

    def test_what_can_not_be_renamed_stays_as_it_is(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        name = shared.lease.account
        other = _lease(store, "other")
        store.enter(other, "INBOX", [], cursor="c", start_at=None)
        with pytest.raises(PermanentError, match="of its own"):
            _intend(store, "account", name, "other")
        with pytest.raises(PermanentError, match="nothing is kept"):
            _intend(store, "account", "nobody", "new")
        assert store.renames() == []
        assert {key: one.state for key, one in store.known(name, "INBOX", ["1"]).items()} == {"1": "waiting"}
        assert store.intend_rename("account", "nobody", "new", who="anna", needed=False).old == "nobody"

    def test_an_account_that_is_worked_on_is_not_renamed_before_it_is_let_go_of(self, store: Store, shared: Custodian) -> None:
        shared.enter("0")
        intent = _intend(store, "account", "shared", "new")
        with pytest.raises(TransientError, match="being worked on"):
            store.finish_rename(intent, dead=nobody_is_dead)
        # Until then all is the old one's, and it goes on.
        assert shared.enter("0", "1") == 1
        store.release(shared.lease)
        assert store.finish_rename(intent, dead=nobody_is_dead) == 0
        assert {key: one.state for key, one in store.known("new", "INBOX", ["1"]).items()} == {"1": "waiting"}

    def test_P2_who_had_it_before_writes_nothing_any_more(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        assert rename(store, "shared", "new", dead=lambda _: True) == 0
        with pytest.raises(LeaseLost):
            store.enter(shared.lease, "INBOX", [], cursor="late", start_at=None)

    def test_nobody_works_on_the_new_name_before_nor_on_the_old_one_after(self, store: Store, shared: Custodian) -> None:
        shared.enter("1")
        early = _lease(store, "new")
        store.release(shared.lease)
        intent = _intend(store, "account", "shared", "new")
        with pytest.raises(LeaseLost):
            store.enter(early, "INBOX", [], cursor="early", start_at=None)
        with pytest.raises(TransientError, match="account shared is "):
            store.take_lease("new", "two", dead=nobody_is_dead)
        assert [one.account for one in store.take_leases(["new", "shared", "third"], "two", dead=nobody_is_dead)] == [
            "shared",
            "third",
        ]
        store.finish_rename(intent, dead=lambda _: True)
        with pytest.raises(TransientError, match="account shared is "):
            store.take_lease("shared", "two", dead=nobody_is_dead)
        assert [one.account for one in store.take_leases(["new", "shared"], "two", dead=nobody_is_dead)] == ["new"]
        store.free_name("account", "shared")
        assert _lease(store, "shared").account == "shared"

    # --- intents ------------------------------------------------------------------------------------------------------

    def test_an_intent_is_kept_until_somebody_finishes_it_and_done_twice_it_is_done(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw())
        store.release(shared.lease)
        intent = _intend(store, "account", "shared", "new")
        assert store.intend_rename("account", "shared", "new", who="bob") == intent
        (found,) = store.renames()
        assert (found, found.done_at, found.command) == (intent, None, "gatewayd account rename shared new")
        for old, new in (("shared", "another"), ("other", "new"), ("other", "another")):
            with pytest.raises(PermanentError, match="shared is still being renamed to new") as caught:
                store.intend_rename("account", old, new, who="anna", needed=False)
            assert "gatewayd account rename shared new" in caught.value.advice
        for _ in range(2):
            assert store.finish_rename(intent, dead=nobody_is_dead) == 1
        (done,) = store.renames()
        assert done.done_at is not None

    def test_a_name_that_was_given_up_is_nobody_else_s_but_can_be_taken_back(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw())
        _lease(store, "other")
        store.release(shared.lease)
        rename(store, "shared", "new")
        with pytest.raises(PermanentError, match="'shared' was given up for new"):
            store.intend_rename("account", "other", "shared", who="anna", needed=False)
        assert rename(store, "new", "shared") == 1
        assert [(one.old, one.new) for one in store.renames()] == [("new", "shared")]
        assert [view.account for view in store.filings(ACME, Query())] == ["shared"]
        assert _lease(store, "shared")

    # --- operators and users ------------------------------------------------------------------------------------------

    def test_P6_a_renamed_operator_has_its_mail_and_the_old_name_none(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1), make_filing("acme"), make_filing("nord"))
        shared.file("2", make_raw(2), make_filing("acme", user="irina"))
        viewer = Viewer(operator="acme", users=("irina",))
        before = store.filings(viewer, Query())
        store.deliver(ACME, before[-1].id, [make_delivery(1, target="crm", account="")])
        assert rename(store, "acme", "alpha", "operator") == 2
        assert store.filings(viewer, Query()) == []
        after = store.filings(Viewer(operator="alpha", users=("irina",)), Query())
        assert [(one.id, one.user, one.links) for one in after] == [(one.id, one.user, one.links) for one in before]
        assert len(store.filings(Viewer(operator="nord"), Query())) == 1
        assert list(store.destinations()) == ["target alpha/crm"]
        (audit,) = store.audit("shared", {"INBOX": make_listing("1", "2")})
        assert audit.proven, "what is written down of who has it is true"

    def test_P6_what_an_older_config_files_for_a_name_that_was_given_up_is_refused(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1), make_filing("acme", user="irina"))
        shared.enter("2")
        intent = _intend(store, "operator", "acme", "alpha")
        with pytest.raises(TransientError, match="acme is being renamed to alpha"):
            shared.commit(shared.outcome("2", make_raw(2), make_filing("alpha")))
        store.finish_rename(intent, dead=nobody_is_dead)
        with pytest.raises(TransientError, match="acme is alpha now"):
            shared.commit(shared.outcome("2", make_raw(2), make_filing("acme")))
        assert shared.states("2") == {"2": "waiting"}
        assert shared.commit(shared.outcome("2", make_raw(2), make_filing("alpha"))).filed == 1

    def test_P6_personal_mail_is_the_new_name_s_and_the_old_one_sees_nothing(self, store: Store, shared: Custodian) -> None:
        shared.file("1", make_raw(1), make_filing("acme", user="irina"))
        shared.file("2", make_raw(2), make_filing("nord", user="irina"))
        shared.file("3", make_raw(3))
        assert rename(store, "acme/irina", "acme/nina", "user") == 1
        assert {one.user for one in store.filings(_NINA, Query())} == {"nina", None}
        assert {one.user for one in store.filings(_IRINA, Query())} == {None}
        assert len(store.filings(Viewer(operator="nord", users=("irina",)), Query())) == 1
        (audit,) = store.audit("shared", {"INBOX": make_listing("1", "2", "3")})
        assert audit.proven
        shared.enter("4")
        with pytest.raises(TransientError, match="acme/irina is acme/nina now"):
            shared.commit(shared.outcome("4", make_raw(4), make_filing("acme", user="irina")))
        # Somebody else of that name, later.
        store.free_name("user", "acme/irina")
        assert shared.commit(shared.outcome("4", make_raw(4), make_filing("acme", user="irina"))).filed == 1
        assert {one.id for one in store.filings(_NINA, Query())}.isdisjoint(
            one.id for one in store.filings(_IRINA, Query()) if one.user
        )

    def test_P6_a_user_who_is_renamed_has_not_left_whichever_name_a_config_has(self, store: Store) -> None:
        store.keep_users({"acme": ["irina", "bob"]})
        (_, before) = store.known_users()
        intent = _intend(store, "user", "acme/irina", "acme/nina")
        for names in (["nina", "bob"], ["irina", "bob"]):
            assert store.keep_users({"acme": names}) == []
        store.finish_rename(intent, dead=nobody_is_dead)
        for names in (["irina", "bob"], ["nina", "bob"]):
            assert store.keep_users({"acme": names}) == []
        (_, after) = store.known_users()
        assert (after.name, after.id) == ("nina", before.id)
        intent = _intend(store, "operator", "acme", "alpha")
        for operator in ("alpha", "acme"):
            assert store.keep_users({operator: ["nina", "bob"]}) == []
        store.finish_rename(intent, dead=nobody_is_dead)
        for operator in ("acme", "alpha"):
            assert store.keep_users({operator: ["nina", "bob"]}) == []
        assert [(one.operator, one.id) for one in store.known_users() if one.name == "nina"] == [("alpha", before.id)]
        # Of both names, the old one is somebody new.
        assert store.keep_users({"alpha": ["irina", "nina", "bob"]}) == []
        assert {one.name for one in store.known_users()} == {"bob", "irina", "nina"}

    def test_P6_what_is_filed_while_an_operator_is_renamed_has_one_name_in_the_end(self, open_store: Callable[[], Store]) -> None:
        store, beside = open_store(), open_store()
        shared = Custodian.of(store)
        shared.file("0", make_raw(0))

        def file_all() -> None:
            # As a daemon does that tries again with the config that it has by then.
            for number in range(1, 40):
                shared.enter(f"{number}")
                for operator in ("acme", "alpha") * 50:
                    with suppress(TransientError):
                        shared.commit(shared.outcome(f"{number}", make_raw(number), make_filing(operator)))
                        break

        with ThreadPoolExecutor(1) as thread:
            filing = thread.submit(file_all)
            while len(store.filings(ACME, Query())) < 5 and not filing.done():
                pass
            intent = _intend(beside, "operator", "acme", "alpha")
            beside.finish_rename(intent, dead=nobody_is_dead)
            filing.result(120)
        assert store.filings(ACME, Query()) == []
        assert len(store.filings(Viewer(operator="alpha"), Query())) == 40
        (audit,) = store.audit("shared", {"INBOX": make_listing(*map(str, range(40)))})
        assert audit.proven
