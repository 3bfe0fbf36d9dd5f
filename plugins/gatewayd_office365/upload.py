"""Upload a large file in pieces, to the address that Graph names for it ("Attach large files to Outlook messages or events")."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gatewayd import HttpClient, HttpPool, PermanentError, TransientError, quoted, retry_after
from gatewayd_office365.json_objects import json_object, text_of
from gatewayd_office365.outgoing_mail import PutOff

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatewayd import HttpAnswer
    from gatewayd_office365.options import Office365Options
    from gatewayd_office365.outgoing_mail import OutgoingFile

__all__ = ["Uploader"]

#: Pieces may have 4 MB, in multiples of 320 KiB.
_PIECE = 10 * 320 * 1024
_OK, _CREATED = 200, 201
_LATER = frozenset({408, 429})
_FAULTY = 500


class Uploader:
    """Uploads one file at a time; ``abort`` is called by any thread."""

    def __init__(self, options: Office365Options) -> None:
        self._options = options
        self._http: HttpClient | None = None
        self._aborted = False

    def abort(self) -> None:
        """Break off the upload under way, and let none begin. Never raises."""
        self._aborted = True
        if self._http is not None:
            self._http.abort()

    def upload(self, url: str, one: OutgoingFile) -> None:
        """Upload a file. Raises PermanentError, or PutOff where a later try of the whole mail may succeed.

        The address is on another host, and alone permits the upload: it is shown nowhere, and no token goes there.
        """
        options = self._options
        try:
            parts = urlsplit(url)
            if parts.scheme != "https":
                raise ValueError  # noqa: TRY301  as for what is no address
            pool = HttpPool(f"https://{parts.netloc}", ca_file=options.ca_file, timeout=options.timeout, field="graph")
        except ValueError:
            raise PutOff("Exchange names no https address for an upload") from None
        self._http = HttpClient(pool)
        try:
            if self._aborted:
                raise TransientError(f"{pool.where}: the connection was aborted")
            self._send(self._http, pool, url, one)
        finally:
            self._http = None
            pool.close()

    def _send(self, http: HttpClient, pool: HttpPool, url: str, one: OutgoingFile) -> None:
        start, answer = 0, None
        for piece in _pieces(one.pieces()):
            end = start + len(piece)
            headers = {"Content-Range": f"bytes {start}-{end - 1}/{one.size}", "Content-Type": "application/octet-stream"}
            answer = http.request("PUT", url, what="to upload a file", headers=headers, body=piece, repeat=False)
            if answer.status not in {_OK, _CREATED, 202}:
                raise _refusal(answer, pool.where, url)
            start = end
        if answer is None or answer.status != _CREATED:
            raise PutOff(f"{pool.where}: the upload of a file has not ended with its last byte")


def _pieces(given: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for one in given:
        waiting += one
        while len(waiting) > _PIECE:
            yield bytes(waiting[:_PIECE])
            del waiting[:_PIECE]
    if waiting:
        yield bytes(waiting)


def _refusal(answer: HttpAnswer, where: str, url: str) -> PermanentError | PutOff:
    words = quoted(text_of(json_object(answer.body) or {}, "error", "message"), [url, urlsplit(url).query])
    text = f"{where}: a file is refused (HTTP {answer.status}){f': {words}' if words else ''}"
    # An upload ends after a while, and with its draft: then a new one may succeed.
    later = answer.status in _LATER or answer.status >= _FAULTY or answer.status in {404, 410, 416}
    return PutOff(text, retry_after=retry_after(answer.headers)) if later else PermanentError(text)
