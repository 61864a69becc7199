"""Marks that replace a value that cannot be sent, so that the checks find it in the text of its order.

Unicode reserves these characters for internal use: no interchanged text contains them. One search for
BROKEN in the whole text of an order finds every mark.
"""

from __future__ import annotations

#: Bytes that are not UTF-8.
BROKEN = "\ufdd0"

#: Follows each repetition of a key that a MAP holds more than once, with a number.
REPEATED_KEY = BROKEN + "\ufdd1"

#: The rule that it breaks.
ONE_VALUE = "one value for one key"

#: The rule that two spellings of one key break.
ONE_KEY = "one key for one field"

#: A value that cannot be text; its kind in words follows, then, after another mark, the rule that it breaks, if any.
OTHER_KIND = BROKEN + "\ufdd2"

#: Precedes a JSON number that is kept as text for its digits; it never leaves the query that reads the JSON.
DIGITS = "\ufdd3"
