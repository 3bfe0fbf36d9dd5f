"""The YAML fields of the store ``sql``."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from gatewayd import Store

_SCHEMES = ("sqlite:////", "postgresql://", "postgresql+psycopg://")
#: A password where SQLAlchemy finds it, which may have a slash in it; and libpq's words for it and for that of a key.
_PASSWORD = re.compile(r"://[^:/]*:[^@]*@|[?&](?:ssl)?password=")


class SqlOptions(Store.Options, use_attribute_docstrings=False):
    """Where the database is."""

    # A URL with a password is refused, and never shown.
    url: str | None = Field(
        None,
        repr=False,
        description="`sqlite:////absolute/path.db` or `postgresql://user@host/name`; default: store/gatewayd.db in `state`.",
    )

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str | None) -> str | None:
        if url is not None and (not url.startswith(_SCHEMES) or url in _SCHEMES):
            raise ValueError("expected sqlite:////absolute/path.db or postgresql://user@host/name")
        if url is not None and _PASSWORD.search(url):
            raise ValueError(
                "a password never stands in the url, expected it in the file that PGPASSFILE names, or peer authentication"
            )
        return url
