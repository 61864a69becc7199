"""Makes the words of a server fit for logs and ledgers: short, one line, without personal data or the key.

E-mail addresses are always replaced. Telephone numbers are replaced where they look like nothing else: a `+` before
the digits, an area code in parentheses, or several short groups of digits. A plain run of digits stays, and so does
a date: in this API's answers they are most probably order ids and positions, by which a refused order is found.
"""

from __future__ import annotations

import re
import unicodedata

REDACTED = "[redacted]"

#: characters kept of one sentence; enough for a rule and an order id (at most 128 characters)
MAX_LENGTH = 300

# Looked at before the cut to MAX_LENGTH: bounds the work on a hostile body.
_MAX_INPUT = 8192

# RFC 5321 allows more in a local part; = / | { } are left out, since they part a name or an id from an address.
_LOCAL = r"(?:[\w.+\-!#$%&*?^`~]|(?<=\w)'(?=\w))"
_AT = r"(?:@|\uff20|%40|\\u0040)"
_EMAIL = re.compile(
    rf"""(?:(?<![\w.+\-!#$%&*?^`~]){_LOCAL}+?|"[^"\n]{{1,64}}"){_AT}[^\s@'"<>()\[\]{{}},;:|/=\\]+""",
    re.IGNORECASE,
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


def redact(text: str, secret: str = "", *, max_length: int = MAX_LENGTH) -> str:
    """Return `text` on one line, with `secret`, e-mail addresses and telephone numbers replaced, cut to `max_length`.

    The cut comes last: an address that straddled it would be half shown.
    """
    if len(text) > _MAX_INPUT:
        # without the last word: it may be the first half of an address, or of the key
        text = text[:_MAX_INPUT].rpartition(" ")[0]
    text = _printable(text)
    if secret:
        text = re.sub(re.escape(secret), REDACTED, text, flags=re.IGNORECASE)
    text = _EMAIL.sub(REDACTED, text)
    text = _PHONE.sub(_replace_phone, text)
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def _printable(text: str) -> str:
    if not text.isprintable():
        # format characters (zero width, bidirectional) vanish: as a space they would cut an address in two
        text = "".join(c if c.isprintable() else "" if unicodedata.category(c) == "Cf" else " " for c in text)
    return " ".join(text.split())


def _replace_phone(match: re.Match[str]) -> str:
    found = match.group()
    is_phone = sum(map(str.isdigit, found)) >= _MIN_PHONE_DIGITS and not _DATE.fullmatch(found)
    return REDACTED if is_phone else found
