"""The part of an invalid value that may be shown: the value may be personal data from another column.

One rule, in two forms: as SQL, for the values that the engine sees, and for those that Python does.
"""

from __future__ import annotations

import re

_TIME = "[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
_DATE = f"[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}}([T ]{_TIME})?( ?Z| ?UTC| ?[+-][0-9]{{2}}(:?[0-9]{{2}})?)?"

#: No telephone number has so few digits, and no amount of money of a shop needs more decimals.
_SMALL_NUMBER = "-?[0-9]{1,6}([.][0-9]{1,6})?"

_NUMBER = "-?[0-9]+([.][0-9]+)?"

#: Characters of a word that is shown.
_WORD = 32

_SHOWN = re.compile(f"{_DATE}|{_SMALL_NUMBER}")


def disclosed(value: str) -> str:
    """Return a value if it is a date, a number of up to six digits or a word; otherwise, its length."""
    if _SHOWN.fullmatch(value) or (1 <= len(value) <= _WORD and all(c.isalpha() or c in "_-" for c in value)):
        return value
    if re.fullmatch(_NUMBER, value):
        return f"a number of {len(re.sub('[^0-9]', '', value))} digits"
    return f"text of {len(value)} character{'' if len(value) == 1 else 's'}"


def disclosed_sql(value: str) -> str:
    """Return SQL of the result of `disclosed`.

    :param value: SQL of a text
    """
    # the engine compiles a pattern for each query, and a counted class of all letters takes it 20 ms
    word = rf"length({value}) <= {_WORD} AND regexp_full_match({value}, '[\p{{L}}_-]+')"
    return (
        f"CASE WHEN regexp_full_match({value}, '{_DATE}|{_SMALL_NUMBER}') OR {word} THEN {value} "
        f"WHEN regexp_full_match({value}, '{_NUMBER}') "
        f"THEN 'a number of ' || length(regexp_replace({value}, '[^0-9]', '', 'g')) || ' digits' "
        f"ELSE {length_sql(value)} END"
    )


def length_sql(value: str) -> str:
    """Return SQL of the description of a text that is never shown.

    :param value: SQL of a text
    """
    return f"'text of ' || {number_sql(f'length({value})', 'character')}"


def number_sql(count: str, noun: str) -> str:
    """Return SQL of a count with its noun: 1 character, 12 characters.

    :param count: SQL of a whole number
    """
    return f"{count} || CASE WHEN {count} = 1 THEN ' {noun}' ELSE ' {noun}s' END"
