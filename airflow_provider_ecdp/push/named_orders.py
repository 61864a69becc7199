"""Which orders of a batch a refusal names, in the wordings of servers that answer with problem+json.

The answer is only a hint: it saves requests, and an order that is named is sent alone before it is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

#: `data[17].currency`, `$.data[17]`, `Data[17].Currency`, `/data/17/currency`, `data.17.currency`, `data -> 17 ->`,
#: `[17].id`, `index 17`; counted from 0, as JSON does.
_POSITION = re.compile(
    r"(?:\bdata\s*(?:\[|/|\.|->|,)\s*|(?:^|[\s$'\"(])\[|\bindex\s*[:=]?\s*)['\"]?(\d{1,7})\b",
    re.IGNORECASE,
)

#: A shorter id without quotes is more probably a number of the message, as in "at most 20 characters".
_BARE_ID_CHARACTERS = 4


def named_orders(details: Sequence[str], ids: Sequence[str]) -> set[int]:
    """Return the positions in `ids` of the orders that `details` names, by position or id; empty if it names none."""
    if not details:
        return set()
    place = {order_id: i for i, order_id in enumerate(ids)}
    # the longest first, so that ORD-12 is not found in ORD-123
    pattern = re.compile("|".join(re.escape(i) for i in sorted(place, key=len, reverse=True)))
    named: set[int] = set()
    for detail in details:
        named.update(int(m) for m in _POSITION.findall(detail) if int(m) < len(ids))
        named.update(place[m.group()] for m in pattern.finditer(detail) if _stands_alone(detail, m))
    return named


def _stands_alone(text: str, match: re.Match[str]) -> bool:
    before, after = text[: match.start()][-1:], text[match.end() :][:1]
    if before and before in "'\"`" and before == after:
        return True
    inside_a_word = any(c.isalnum() or c in "-_[" for c in (before, after) if c)
    return len(match.group()) >= _BARE_ID_CHARACTERS and not inside_a_word
