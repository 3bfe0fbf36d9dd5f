"""What the tests of people share: a store with users, and the config that has them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatewayd import Folders
from gatewayd.config import Config, OperatorConfig, UserConfig
from gatewayd.registry.loading import Registry
from gatewayd_sql.options import SqlOptions
from gatewayd_sql.store import Sql

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

__all__ = ["CHEAP", "house", "opened", "user", "without"]


#: What hashing costs where a test is not about it.
CHEAP = {"memory_kib": 8, "passes": 1, "lanes": 1}


def user(name: str, **fields: Any) -> UserConfig:
    return UserConfig.model_validate({"name": name.title(), "email": f"{name}@example.com"} | fields)


def house(folder: Path, **fields: Any) -> Config:
    """Return a config of two operators: acme has a user of each role, and globetrot another irina."""
    acme = {"irina": user("irina"), "tom": user("tom", role="reader"), "ann": user("ann", role="manager")}
    operators = {
        "acme": OperatorConfig(name="acme", users=acme),
        "globetrot": OperatorConfig(name="globetrot", users={"irina": user("irina", email="irina@globetrot.example")}),
    }
    all_ = {"folder": folder, "state": folder, "store_kind": "sql", "store_options": SqlOptions(url=None), "operators": operators}
    return Config(**{**all_, "registry": Registry(plugins=(), _classes={}), **fields})


def without(config: Config, operator: str, name: str) -> Config:
    """Return a config that a user is gone from."""
    old = config.operators[operator]
    left = {who: one for who, one in old.users.items() if who != name}
    return replace(config, operators={**config.operators, operator: replace(old, users=left)})


def opened(config: Config) -> Sql:
    """Return a store that knows the config's users; who opens it closes it."""
    store = Sql(SqlOptions(url=None), place=Folders(config=config.folder, state=config.state))
    store.open()
    store.keep_users({name: tuple(one.users) for name, one in config.operators.items()})
    return store
