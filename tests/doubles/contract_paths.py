"""Paths of the contract's fields in an order, with the first element of each list, as the contract's table has them."""

from __future__ import annotations

from airflow_provider_ecdp.orders.contract import Kind, walk

Path = tuple[str | int, ...]

_LISTS = {path for path, field in walk() if field.kind is Kind.LIST}


def _place(path: str) -> Path:
    place: list[str | int] = []
    parts = path.split(".")
    for i, part in enumerate(parts, 1):
        place.append(part)
        if i < len(parts) and ".".join(parts[:i]) in _LISTS:
            place.append(0)
    return tuple(place)


#: Texts of at most so many characters, but for names of time zones, of which none is so long.
MAX_LENGTHS: list[tuple[Path, int]] = [
    (_place(path), field.max_length)
    for path, field in walk()
    if field.max_length and field.max_length != field.min_length and field.name != "timeZone"
]

REQUIRED: list[Path] = [_place(path) for path, field in walk() if field.required]

OPTIONAL: list[Path] = [_place(path) for path, field in walk() if not field.required]
