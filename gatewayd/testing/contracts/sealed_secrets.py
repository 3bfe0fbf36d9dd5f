"""Tests of every store: secrets that come sealed, and processes that write the next one at the same time."""

# ruff: noqa: N802  tests are named after promises

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gatewayd import SealedSecret

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd import Store

__all__ = ["SecretContract"]

_NAME = "5f" * 32
_FIRST, _NEXT, _OTHER = (SealedSecret("a1", bytes([number]) + b"\x00\xff sealed" * 400) for number in range(3))


class SecretContract:
    """Part of ``StoreContract``."""

    def test_a_secret_is_kept_replaced_and_forgotten(self, open_store: Callable[[], Store]) -> None:
        store = open_store()
        assert store.sealed_secret(_NAME) is None
        assert store.replace_secret(_NAME, None, _FIRST)
        assert open_store().sealed_secret(_NAME) == _FIRST
        assert store.replace_secret(_NAME, _FIRST, _NEXT)
        assert store.replace_secret("another", None, _OTHER)
        assert (store.sealed_secret(_NAME), store.sealed_secret("another")) == (_NEXT, _OTHER)
        assert store.secret_names() == sorted((_NAME, "another"))
        assert store.forget_secret(_NAME)
        assert not store.forget_secret(_NAME)
        assert (store.sealed_secret(_NAME), store.sealed_secret("another")) == (None, _OTHER)

    def test_nothing_is_written_over_what_nobody_has_read(self, store: Store) -> None:
        assert not store.replace_secret(_NAME, _FIRST, _NEXT), "there is none to replace"
        assert store.sealed_secret(_NAME) is None
        assert store.replace_secret(_NAME, None, _FIRST)
        assert not store.replace_secret(_NAME, None, _NEXT)
        assert not store.replace_secret(_NAME, _OTHER, _NEXT)
        assert store.sealed_secret(_NAME) == _FIRST
        # Forgotten and given anew, it is another one.
        store.forget_secret(_NAME)
        assert store.replace_secret(_NAME, None, _OTHER)
        assert not store.replace_secret(_NAME, _FIRST, _NEXT)
        assert store.sealed_secret(_NAME) == _OTHER

    def test_of_many_that_write_the_next_secret_at_once_one_does(self, open_store: Callable[[], Store]) -> None:
        stores = [open_store() for _ in range(4)]
        read: SealedSecret | None = None
        for turn in range(3):
            nexts = [SealedSecret("a1", bytes([turn, number])) for number in range(8)]
            with ThreadPoolExecutor(8) as threads:
                tries = [threads.submit(stores[at % 4].replace_secret, _NAME, read, one) for at, one in enumerate(nexts)]
                won = [one for one, done in zip(nexts, tries, strict=True) if done.result(60)]
            read = stores[0].sealed_secret(_NAME)
            assert won == [read]

    def test_the_keys_that_are_in_use_are_counted(self, store: Store) -> None:
        assert store.sealing_keys() == {}
        store.replace_secret(_NAME, None, _FIRST)
        store.replace_secret("another", None, SealedSecret("b2", b"b"))
        store.replace_secret("a third", None, SealedSecret("b2", b"c"))
        assert store.sealing_keys() == {"a1": 1, "b2": 2}
        store.replace_secret("another", SealedSecret("b2", b"b"), SealedSecret("a1", b"d"))
        assert store.sealing_keys() == {"a1": 2, "b2": 1}

    def test_P9_a_sealed_secret_shows_nothing(self) -> None:
        assert "sealed" not in repr(_FIRST).replace("SealedSecret", "")
