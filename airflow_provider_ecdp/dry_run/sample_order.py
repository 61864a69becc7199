"""The sample order of a dry run: personal data is masked, numbers keep their digits."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

from airflow_provider_ecdp.api.redaction import redact
from airflow_provider_ecdp.orders.contract import walk

#: Shown in place of a value that identifies a person.
MASK = "***"

#: Attributes are the shop's own: a recipient, an engraving and an address are among them.
_PERSONAL = {
    tuple(path.split(".")) for path, field in walk() if field.personal or re.search(r"Attributes\.value$", path)
}

#: Characters of a text that are shown.
_SHOWN = 200


def masked(text: str) -> str:
    """Return the JSON text of an order without personal fields, and without addresses and numbers in other texts."""
    order, mark = _read(text)
    return _written(_masked(order, (), mark), mark)


def laid_out(text: str, most: int) -> Iterator[str]:
    """Yield the lines of an order for people: a line for each field, and for each of the first elements of a list.

    :param text: JSON text of the order
    :param most: elements of a list that are shown
    """
    order, mark = _read(text)
    for name, value in order.items():
        if not isinstance(value, list):
            yield f"{name}: {_written(value, mark)}"
            continue
        yield f"{name}: {len(value):,}"
        for element in value[:most]:
            yield f"  - {_written(element, mark)}"
        if len(value) > most:
            yield f"  - and {len(value) - most:,} more"


def _read(text: str) -> tuple[dict[str, Any], str]:
    # numbers are texts on the way, with a mark that no text of an order begins with
    mark = uuid.uuid4().hex

    def digits(number: str) -> str:
        return mark + number

    return json.loads(text, parse_float=digits, parse_int=digits), mark


def _written(value: Any, mark: str) -> str:
    return re.sub(f'"{mark}([^"]*)"', r"\1", json.dumps(value, ensure_ascii=False))


def _masked(value: Any, path: tuple[str, ...], mark: str) -> Any:
    if isinstance(value, dict):
        return {name: _masked(inner, (*path, name), mark) for name, inner in value.items()}
    if isinstance(value, list):
        return [_masked(inner, path, mark) for inner in value]
    if path in _PERSONAL:
        return MASK
    if isinstance(value, str) and not value.startswith(mark):
        return redact(value, max_length=_SHOWN)
    return value
