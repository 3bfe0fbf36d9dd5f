"""Cut text into the words by which mail is found, and what people type into terms: both alike, or nothing is found."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatewayd.message.mail import Mail

__all__ = ["SearchTerm", "mail_words", "search_terms", "thread_term", "words"]

#: Letters and digits; everything else stands between words.
_WORD = re.compile(r"[^\W_]+")
#: Marks on letters, once these are taken apart; and what is within words but is not seen.
_UNSEEN = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u00ad\u200b-\u200d\u2060\ufeff]+")
#: Letters that Unicode does not take apart.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"})
#: Letters with an umlaut, taken apart, and how they are written where there are none.
_UMLAUT = re.compile("([aouAOU])\u0308")
_WRITTEN_OUT = re.compile("([aou])e")
#: A longer word counts by its beginning.
_LONGEST = 64
#: So many characters of a mail's text are words by which it is found.
_TEXT = 65_536
#: Bounds of what is typed: in characters, in words, and in ways to write one term.
_TYPED, _WORDS, _WAYS = 1000, 32, 8
#: So many references of a mail are followed: the first ones, where its conversation began, and the last ones.
_FIRST, _LAST = 4, 16
#: What opens and closes a phrase, in whichever language.
_MARK = '"\u201c\u201d\u201e\u00ab\u00bb'
#: A phrase, or what stands between blanks.
_PART = re.compile(f"[{_MARK}]([^{_MARK}]*)(?:[{_MARK}]|$)|([^\\s{_MARK}]+)")


@dataclass(frozen=True, slots=True)
class SearchTerm:
    """One word, or words in a row, that a mail must have."""

    #: The ways in which it may be written; each is one word or several in a row.
    ways: tuple[tuple[str, ...], ...]
    #: The last word of each way may go on.
    prefix: bool = False


def words(text: str) -> list[str]:
    """Return the words of a text in their order, without case and marks on letters; a longer one is cut at 64 characters.

    >>> words("Grüße an José: R-2311")
    ['grusse', 'an', 'jose', 'r', '2311']
    """
    return [word[:_LONGEST] for word in _WORD.findall(_plain(text))]


def _plain(text: str) -> str:
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text).casefold()
    # Folding the case may put letters together again.
    return _UNSEEN.sub("", unicodedata.normalize("NFKD", apart)).translate(_PLAIN)


def mail_words(mail: Mail) -> Sequence[Sequence[str]]:
    """Return the words by which a mail is found, in sections: subject, people, names of attachments, the text's beginning, and its
    conversation (see ``thread_term``).

    Raises what reading its bytes raises.
    """
    people = "\n".join(f"{one.name} {one.email}" for one in (*mail.from_, *mail.to, *mail.cc))
    files = "\n".join(one.name for one in mail.attachments)
    sections = (*map(words, (mail.subject, people, files, mail.text[:_TEXT])), _thread_words((mail.message_id, *mail.references)))
    return [found for found in sections if found]


def thread_term(message_ids: Sequence[str]) -> SearchTerm | None:
    """Return the term that mail has which has one of these Message-IDs, or refers to one; None where there is none.

    ``message_ids`` are a mail's own, then its references, as ``Mail`` has them: the term finds that mail's conversation.
    """
    found = _thread_words(message_ids)
    return SearchTerm(tuple((one,) for one in found)) if found else None


def _thread_words(message_ids: Sequence[str]) -> list[str]:
    """Return a word for each Message-ID, which nobody types: of many, for the first and last ones."""
    some = message_ids if len(message_ids) <= _FIRST + _LAST else (*message_ids[:_FIRST], *message_ids[-_LAST:])
    return list(dict.fromkeys(_thread_word(one) for one in some if one))


def _thread_word(message_id: str) -> str:
    return "mid" + hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def search_terms(typed: str) -> tuple[SearchTerm, ...] | None:
    """Return the terms that people mean by what they typed: a mail must have all of them. Never raises.

    What stands in quotation marks is one term, and so is what punctuation joins, such as an address or ``R-2311``. A word that
    ends with ``*`` may go on, and so may the last one, if it does not stand in quotation marks. None where nothing but blanks
    was typed; an empty tuple where it has no words, which no mail has.
    """
    typed = typed[:_TYPED]
    if not typed.strip():
        return None
    found: list[SearchTerm] = []
    room = _WORDS
    for part in _PART.finditer(typed):
        phrase, word = part.groups()
        ways = tuple(way for way in _ways(word if phrase is None else phrase, room) if way)
        if ways:
            room -= len(ways[0])
            goes_on = phrase is None and (part.end() == len(typed.rstrip()) or word.endswith("*"))
            found.append(SearchTerm(ways, prefix=goes_on))
        if room <= 0:
            break
    return tuple(found)


def _ways(text: str, most: int) -> Iterator[tuple[str, ...]]:
    """Yield in how many ways the words may be written: an umlaut as such, without its dots, or with an e behind it."""
    apart = unicodedata.normalize("NFD", text)
    plain = words(text)[:most]
    written_out = words(_UMLAUT.sub(r"\1e", apart))[:most]
    each = [dict.fromkeys((word, out, *_shortened(word))) for word, out in zip(plain, written_out, strict=False)]
    yield from islice(product(*each), _WAYS)


def _shortened(word: str) -> Iterator[str]:
    """Yield the word with some, all or each of its ``ae``, ``oe`` and ``ue`` as ``a``, ``o`` and ``u``."""
    places = [found.end() - 1 for found in _WRITTEN_OUT.finditer(word)][:3]
    for gone in product((True, False), repeat=len(places)):
        left_out = {place for place, is_gone in zip(places, gone, strict=True) if is_gone}
        yield "".join(char for at, char in enumerate(word) if at not in left_out)
