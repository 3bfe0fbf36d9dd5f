"""Keep what users log in with: passwords come hashed and sealed, second factors sealed, recovery codes as digests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, insert, select, update

from gatewayd import SealedSecret, SecondFactor, UserSecrets, UserSecretVerbs
from gatewayd_sql.access_tables import recovery_code, second_factor, user_password, web_session
from gatewayd_sql.dialect import InsertOrIgnore, clock
from gatewayd_sql.user_tables import known_user
from gatewayd_sql.users import hold_user

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Row

    from gatewayd_sql.database import Database

__all__ = ["UserSecretTables"]

_LEFT_CODES = select(func.count()).where(recovery_code.c.user_id == known_user.c.id).scalar_subquery().label("codes")
_ALL = (
    select(
        known_user.c.id,
        user_password.c.key_id.label("password_key"),
        user_password.c.sealed.label("password"),
        *second_factor.c["key_id", "sealed", "confirmed", "step"],
        _LEFT_CODES,
    )
    .join_from(known_user, user_password, user_password.c.user_id == known_user.c.id, isouter=True)
    .join(second_factor, second_factor.c.user_id == known_user.c.id, isouter=True)
    .where(~known_user.c.left)
)


class UserSecretTables(UserSecretVerbs):
    """See ``UserSecretVerbs``."""

    _db: Database

    def user_secrets(self, operator: str, user: str) -> UserSecrets | None:
        """Return what a user logs in with."""
        rows = self._db.rows(_ALL.where(known_user.c.operator == operator, known_user.c.name == user))
        return _secrets(rows[0]) if rows else None

    def keep_password(self, user_id: int, password: SealedSecret, *, but: int | None = None) -> None:
        """Commit a password, and end web sessions."""
        with self._db.writing() as connection:
            hold_user(connection, user_id)
            connection.execute(delete(user_password).where(user_password.c.user_id == user_id))
            connection.execute(insert(user_password).values(user_id=user_id, changed_at=clock(connection), **_sealed(password)))
            others = [web_session.c.id != but] if but is not None else []
            connection.execute(delete(web_session).where(web_session.c.user_id == user_id, *others))

    def reseal_password(self, user_id: int, old: SealedSecret, new: SealedSecret) -> bool:
        """Put a password in the place of another one, if that is still there."""
        this = user_password.c.user_id == user_id, user_password.c.sealed == old.sealed
        with self._db.writing() as connection:
            return bool(connection.execute(update(user_password).where(*this).values(_sealed(new))).rowcount)

    def begin_second_factor(self, user_id: int, secret: SealedSecret) -> bool:
        """Commit a second factor that is to be confirmed."""
        with self._db.writing() as connection:
            hold_user(connection, user_id)
            connection.execute(delete(second_factor).where(_waiting(user_id)))
            row = {"user_id": user_id, "confirmed": False, "step": 0, **_sealed(secret)}
            # Of an INSERT, SQLAlchemy has no rowcount unless it is told to keep it.
            made = connection.execute(InsertOrIgnore(second_factor).values(row), execution_options={"preserve_rowcount": True})
            return bool(made.rowcount)

    def confirm_second_factor(self, user_id: int, secret: SealedSecret, step: int, codes: Collection[bytes]) -> bool:
        """Commit that a second factor works."""
        this = and_(_waiting(user_id), second_factor.c.sealed == secret.sealed)
        with self._db.writing() as connection:
            hold_user(connection, user_id)
            done = connection.execute(update(second_factor).where(this).values(confirmed=True, step=step)).rowcount
            if done:
                _replace_codes(connection, user_id, codes)
            return bool(done)

    def reseal_second_factor(self, user_id: int, old: SealedSecret, new: SealedSecret) -> bool:
        """Put a secret in the place of another one, if that is still there."""
        this = second_factor.c.user_id == user_id, second_factor.c.sealed == old.sealed
        with self._db.writing() as connection:
            return bool(connection.execute(update(second_factor).where(*this).values(_sealed(new))).rowcount)

    def take_step(self, user_id: int, step: int) -> bool:
        """Commit that a code was typed, unless it was typed before."""
        new = second_factor.c.user_id == user_id, second_factor.c.confirmed, second_factor.c.step < step
        with self._db.writing() as connection:
            return bool(connection.execute(update(second_factor).where(*new).values(step=step)).rowcount)

    def take_recovery_code(self, user_id: int, digest: bytes) -> bool:
        """Commit that a recovery code was typed."""
        this = and_(recovery_code.c.user_id == user_id, recovery_code.c.digest == digest)
        if not self._db.rows(select(recovery_code.c.user_id).where(this)):
            return False
        with self._db.writing() as connection:
            return bool(connection.execute(delete(recovery_code).where(this)).rowcount)

    def replace_recovery_codes(self, user_id: int, codes: Collection[bytes]) -> bool:
        """Commit other recovery codes."""
        with self._db.writing() as connection:
            hold_user(connection, user_id)
            has = exists().where(second_factor.c.user_id == user_id, second_factor.c.confirmed)
            if not connection.scalar(select(has)):
                return False
            _replace_codes(connection, user_id, codes)
        return True

    def end_second_factor(self, user_id: int) -> bool:
        """Remove a second factor and its recovery codes."""
        with self._db.writing() as connection:
            connection.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
            return bool(connection.execute(delete(second_factor).where(second_factor.c.user_id == user_id)).rowcount)


def _waiting(user_id: int) -> ColumnElement[bool]:
    return and_(second_factor.c.user_id == user_id, ~second_factor.c.confirmed)


def _replace_codes(connection: Connection, user_id: int, codes: Collection[bytes]) -> None:
    connection.execute(delete(recovery_code).where(recovery_code.c.user_id == user_id))
    if codes:
        connection.execute(insert(recovery_code), [{"user_id": user_id, "digest": one} for one in codes])


def _sealed(secret: SealedSecret) -> dict[str, object]:
    return {"key_id": secret.key_id, "sealed": secret.sealed}


def _secrets(row: Row[*tuple[Any, ...]]) -> UserSecrets:
    factor = None
    if row.sealed is not None:
        secret = SealedSecret(row.key_id, bytes(row.sealed))
        factor = SecondFactor(secret=secret, confirmed=bool(row.confirmed), step=row.step)
    password = None if row.password is None else SealedSecret(row.password_key, bytes(row.password))
    return UserSecrets(user_id=row.id, password=password, factor=factor, recovery_codes=row.codes)
