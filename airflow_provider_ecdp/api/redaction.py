"""Redacts a server's messages for logs and ledgers: short, one line, without personal data or the key.

The customer values of the request are cut in any letter case and Unicode form, and escaped as in URLs, HTML and JSON.
E-mail addresses are always replaced. Telephone numbers are replaced where they look like nothing else: a `+` before the
digits, an area code in parentheses, or several short groups of digits. Any other plain run of digits stays, and so does
a date: in this API's answers they are most probably order ids and positions, by which a refused order is found.
"""

from __future__ import annotations

import enum
import html
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

REDACTED = "[redacted]"

#: characters kept of one sentence; enough for a rule and an order id (at most 128 characters)
MAX_LENGTH = 300

# Looked at before the cut to MAX_LENGTH: bounds the work on a hostile body.
_MAX_INPUT = 8192

# RFC 5321 allows more in a local part; = / | { } are left out, since they part a name or an id from an address.
_LOCAL = r"(?:[\w.+\-!#$%&*?^`~]|(?<=\w)'(?=\w))"
_AT = r"(?:@|\uff20|%(?:25)*40|\\+(?:u00|x)40|&(?:amp;)*(?:#0*64|#x0*40|commat);)"
_EMAIL = re.compile(
    rf"""(?:(?<![\w.+\-!#$%&*?^`~]){_LOCAL}+?|"[^"\n]{{1,64}}"){_AT}[^\s@'"<>()\[\]{{}},;:|/=\\]+""",
    re.IGNORECASE,
)

#: The rest of an address whose local part was replaced: its tag and its domain.
_EMAIL_REST = re.compile(
    rf"{re.escape(REDACTED)}(?:\+{_LOCAL}{{0,64}})?{_AT}[^\s@'\"<>()\[\]{{}},;:|/=\\]+", re.IGNORECASE
)

_PHONE = re.compile(
    r"""
    (?<![\w.\-+])
    (?:
        \+ [ ]? \(? \d (?:[ ().\-/]{0,2} \d){6,19} (?!\d)              # +48 600 100 200, +1 (555) 123-4567
      | (?:
            (?:\d{1,3}[ \-])? \( \d{1,5} \) (?:[ .\-]? \d{2,5}){2,4}   # (555) 123-4567
          | \d{3}\.\d{3}\.\d{4}                                        # 555.123.4567
          | \d{1,5} (?: [ ]\d{2,4} ){2,5}                              # 600 100 200
          | \d{1,5} (?: -\d{2,4} ){2,5}                                # 555-123-4567
          | 0\d{1,5} [ ] \d{5,8}                                       # 07700 900123
        )
        (?! [\w\-] | [.:]\d )
    )
    """,
    re.VERBOSE,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{2}-\d{2}-\d{4}")
_MIN_PHONE_DIGITS = 7

#: Maximum digits of a country code; and minimum digits of a number that may begin with one.
_COUNTRY_CODE, _WITH_CODE = 3, 10

#: Minimum characters of a value that is replaced anywhere, and of one that is replaced as a word; a shorter one, such
#: as the CRM ID 17, between quotes only.
_ANYWHERE, _AS_A_WORD = 6, 4

#: A position of an order or a product: it names who is refused.
_POSITION = re.compile(r"\[\d{1,5}\]|\b(?:data|index)\W{1,4}\d{1,5}\b", re.IGNORECASE)

#: One character in a spelling that is not its own: of a URL or of a program's bytes (UTF-8, else Latin-1), of HTML, of
#: JSON.
_ESCAPED = re.compile(
    r"""
      (?:%|\\x)(?:[0-7][\da-f] | [cd][\da-f](?:%|\\x)[89ab][\da-f])
    | (?:%|\\x)(?:e[\da-f](?:(?:%|\\x)[89ab][\da-f]){2} | f[0-7](?:(?:%|\\x)[89ab][\da-f]){3})
    | (?:%|\\x)[89a-f][\da-f]
    | &(?:\#\d{1,7}|\#x[\da-f]{1,6}|[a-z][a-z\d]{1,31});?
    | \\ud[89ab][\da-f]{2}\\ud[c-f][\da-f]{2} | \\u[\da-f]{4} | \\["'/\\bfnrt]
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: How often an escape is escaped again, at most.
_LAYERS = 4


#: Characters of telephone numbers other than digits.
_SEPARATORS = str.maketrans("", "", " +-()./_,:;|")

#: Characters at which a server may break a line.
_BLANKS = str.maketrans("", "", " ")

_OPENING, _CLOSING = "'\"`\u2018\u201c\u00ab", "'\"`\u2019\u201d\u00bb"


@dataclass(frozen=True, slots=True)
class SentValues:
    """The values of a request that its answer may repeat.

    `personal` are never shown, `words` not where they are a word of their own: the local part of an e-mail address can
    be a part of any word. `ids` are those of the orders: they stay.
    """

    personal: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    ids: frozenset[str] = frozenset()


def redact(text: str, secret: str = "", *, values: SentValues | None = None, max_length: int = MAX_LENGTH) -> str:
    """Return `text` on one line without `secret`, `values` and text that looks personal, cut to `max_length`."""
    return Redactor.of(secret, values).redact(text, max_length)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Replaces the key, values that were sent, and text that looks like an e-mail address or a telephone number."""

    values: frozenset[_Value] = frozenset()
    ids: frozenset[str] = frozenset()

    @classmethod
    def of(cls, secret: str = "", sent: SentValues | None = None) -> Self:
        """Return the redactor for the answer to a request with the key `secret`."""
        sent = sent or SentValues()
        values = {_Value.of(_fold(secret), _Where.ANYWHERE)}
        values |= {_Value.of(_fold(word), _Where.AS_A_WORD) for word in sent.words}
        values |= {spelling for value in sent.personal for spelling in _spellings(value)}
        return cls(frozenset(value for value in values if value.text), frozenset(map(_fold, sent.ids)) - {""})

    def among(self, texts: Iterable[str]) -> Self:
        """Return a redactor for these texts alone, which ignores values that are not in them."""
        text = _fold("\n".join(texts))
        read_as = [(reading, text.translate(reading.ignored)) for reading in _Reading]
        values = frozenset(
            value
            for reading, read in read_as
            for value in self.values
            if value.reading is reading and value.text in read
        )
        return type(self)(values, frozenset(i for i in self.ids if i in text) if values else frozenset())

    def redact(self, text: str, max_length: int = MAX_LENGTH) -> str:
        """Return `text` on one line, with the key, sent values and personal-looking text replaced, cut to `max_length`.

        The cut comes last: an address that straddled it would be half shown.
        """
        if len(text) > _MAX_INPUT:
            # without the last word: it may be the first half of an address, or of the key
            text = text[:_MAX_INPUT].rpartition(" ")[0]
        text = self._without_values(_printable(text))
        text = _EMAIL.sub(REDACTED, _EMAIL_REST.sub(REDACTED, text))
        text = _PHONE.sub(_replace_phone, text)
        return text if len(text) <= max_length else text[: max_length - 1] + "…"

    def _without_values(self, text: str) -> str:
        here = self.among([text]) if self.values else self
        if not here.values:
            return text
        folded = _Folded.of(text)
        read_as = {reading: folded.translated(reading.ignored) for reading in {value.reading for value in here.values}}
        kept = [match.span() for match in _POSITION.finditer(text)]
        kept += [span for order_id in here.ids for span in folded.spans(_Value.of(order_id, _Where.AS_A_WORD))]
        spans = [span for value in here.values for span in read_as[value.reading].spans(value)]
        return _replace(text, [span for span in spans if not _inside(span, kept)])


class _Where(enum.Enum):
    """Where a value is replaced. A short one is more probably a number of the message, or a part of a word."""

    ANYWHERE = enum.auto()
    AS_A_WORD = enum.auto()
    IN_QUOTES = enum.auto()

    def fits(self, before: str, after: str) -> bool:
        """Whether a value is replaced between these two characters; at an end of the text there is none."""
        if self is _Where.IN_QUOTES:
            return bool(before and after) and before in _OPENING and after in _CLOSING
        return self is _Where.ANYWHERE or not (before.isalnum() or after.isalnum())


class _Reading(enum.Enum):
    """How a text is read to find a value: unchanged; without blanks, since lines may break in it; as a number."""

    WORDS = enum.auto()
    UNBROKEN = enum.auto()
    NUMBER = enum.auto()

    @property
    def ignored(self) -> dict[int, int | None]:
        """The characters that are ignored, for `str.translate`."""
        return {_Reading.WORDS: {}, _Reading.UNBROKEN: _BLANKS, _Reading.NUMBER: _SEPARATORS}[self]


@dataclass(frozen=True, slots=True)
class _Value:
    """A value, folded, without the characters that its reading ignores."""

    text: str
    where: _Where
    reading: _Reading

    @classmethod
    def of(cls, text: str, where: _Where) -> Self:
        """Return a value that is no number."""
        if where is _Where.ANYWHERE:
            return cls(text.translate(_BLANKS), where, _Reading.UNBROKEN)
        return cls(text, where, _Reading.WORDS)


def _spellings(value: str) -> Iterator[_Value]:
    text = _fold(value)
    digits = text.translate(_SEPARATORS)
    if len(digits) >= _ANYWHERE and digits.isdecimal():
        # 00 and + are two spellings of one prefix
        number = digits.removeprefix("00")
        # without a country's code, which has one to three digits
        for start in range(min(_COUNTRY_CODE, len(number) - _MIN_PHONE_DIGITS) + 1 if len(number) >= _WITH_CODE else 1):
            yield _Value(number[start:], _Where.ANYWHERE, _Reading.NUMBER)
        return
    where = _Where.ANYWHERE if len(text) >= _ANYWHERE else _Where.AS_A_WORD
    where = _Where.IN_QUOTES if len(text) < _AS_A_WORD else where
    yield _Value.of(text, where)
    if " " in text:
        # in the query of a URL
        yield _Value.of(text.replace(" ", "+"), where)


@dataclass(frozen=True, slots=True)
class _Folded:
    """A text folded, and for each of its characters the span of the original that it comes from."""

    text: str
    origins: list[tuple[int, int]]

    @classmethod
    def of(cls, text: str) -> Self:
        folded = cls(text, [(i, i + 1) for i in range(len(text))])
        for _ in range(_LAYERS):
            folded = folded._unescaped()
        folded = folded.translated(_FOLDING)
        pairs = zip(folded.text, folded.origins, " " + folded.text, strict=False)
        kept = [(character, origin) for character, origin, before in pairs if character + before != "  "]
        return cls("".join(character for character, _ in kept), [origin for _, origin in kept])

    def translated(self, table: Mapping[int, str] | Mapping[int, int | None]) -> Self:
        """Return the text with each character replaced as in `str.translate`."""
        if not table:
            return self
        pieces = [character.translate(table) for character in self.text]
        origins = [origin for piece, origin in zip(pieces, self.origins, strict=True) for _ in piece]
        return type(self)("".join(pieces), origins)

    def spans(self, value: _Value) -> Iterator[tuple[int, int]]:
        """Yield the spans of the original where a value is to be replaced."""
        start = self.text.find(value.text)
        while start >= 0:
            end = start + len(value.text)
            if value.where.fits(self.text[:start][-1:], self.text[end : end + 1]):
                yield self.origins[start][0], self.origins[end - 1][1]
            start = self.text.find(value.text, start + 1)

    def _unescaped(self) -> Self:
        pieces: list[str] = []
        origins: list[tuple[int, int]] = []
        done = 0
        for match in _ESCAPED.finditer(self.text):
            start, end = match.span()
            piece = _unescape(match)
            pieces += [self.text[done:start], piece]
            origins += self.origins[done:start]
            origins += [(self.origins[start][0], self.origins[end - 1][1])] * len(piece)
            done = end
        return type(self)("".join([*pieces, self.text[done:]]), origins + self.origins[done:])


class _Folding(dict[int, str]):
    """Compared characters: without case, accents, width and direction, and a blank for white space."""

    def __missing__(self, code: int) -> str:
        folded = "".join(map(_folded_character, unicodedata.normalize("NFKD", chr(code))))
        if len(self) < _MAX_INPUT:
            self[code] = folded
        return folded


def _folded_character(character: str) -> str:
    # a server may write a value in capitals: those of the dotless i and the sharp s belong to other letters
    folded = unicodedata.normalize("NFKD", character.upper().casefold())
    return "".join(map(_plain, folded))


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category == "Pd":
        return "-"
    if category == "Nd":
        return str(unicodedata.digit(character))
    is_dropped = character == "\\" or category in {"Mn", "Me", "Cf", "Cc"} or unicodedata.combining(character)
    return "" if is_dropped else character


_FOLDING = _Folding()


def _fold(text: str) -> str:
    for _ in range(_LAYERS):
        text = _ESCAPED.sub(_unescape, text)
    return " ".join(text.translate(_FOLDING).split())


def _unescape(match: re.Match[str]) -> str:
    escaped = match.group().replace("\\x", "%")
    if escaped.startswith("%"):
        encoded = unquote_to_bytes(escaped)
        return encoded.decode("latin-1" if len(encoded) == 1 else "utf-8", "replace")
    if escaped.startswith("&"):
        return html.unescape(escaped)
    character = escaped[1].lower()
    if character == "u":
        return str(json.loads(f'"{escaped.lower()}"'))
    return " " if character in "bfnrt" else character


def _inside(span: tuple[int, int], others: Iterable[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in others)


def _replace(text: str, spans: Iterable[tuple[int, int]]) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += [text[done:start], REDACTED]
        done = max(done, end)
    return "".join([*pieces, text[done:]])


def _printable(text: str) -> str:
    if not text.isprintable():
        # format characters (zero width, bidirectional) vanish: as a space they would cut an address in two
        text = "".join(c if c.isprintable() else "" if unicodedata.category(c) == "Cf" else " " for c in text)
    return " ".join(text.split())


def _replace_phone(match: re.Match[str]) -> str:
    text = match.group()
    is_phone = sum(map(str.isdigit, text)) >= _MIN_PHONE_DIGITS and not _DATE.fullmatch(text)
    return REDACTED if is_phone else text
