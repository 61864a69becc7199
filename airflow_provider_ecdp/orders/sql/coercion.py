"""From a column's Arrow type to SQL of its encoded value: what stands in the JSON, before quoting.

An encoded value is NULL where the value is absent or does not fit its field's kind.
"""

from __future__ import annotations

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import STATUS_SPELLINGS, Field, Kind
from airflow_provider_ecdp.orders.engine.arrow_types import is_bytes, is_text, readable
from airflow_provider_ecdp.orders.engine.quoting import quote_literal

_JSON_NUMBER = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"

# what the engine's cast takes beyond ISO 8601 (`epoch`, a zone's name, blanks) it also reads as no offset at all
_DATE = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_TIME = r"[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_OFFSET = "(Z| UTC|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?)"

#: SQL of an encoded value, None if the type can never be the field's, and whether every value that is not NULL has one.
EncodedValue = tuple[str | None, bool]


def encode(field: Field, raw: str, type_: pa.DataType, timezone: str | None) -> EncodedValue:
    """Return the encoded value of the column `raw` as `field`.

    :param timezone: IANA name of the zone in which timestamps without a zone are read; None refuses them
    """
    if not readable(type_):
        return None, False
    if pa.types.is_null(type_):
        return "CAST(NULL AS VARCHAR)", True
    found: EncodedValue
    if field.kind is Kind.NUMBER:
        found = _number(raw, type_)
    elif field.kind is Kind.INTEGER:
        found = _integer(raw, type_)
    elif field.kind is Kind.TIMESTAMP:
        found = _timestamp(raw, type_, timezone)
    else:
        found = _text(raw, type_)
        # a feature has no type of its own: 1.5 and 2026-11-01 are good values
        plain = pa.types.is_floating(type_) or pa.types.is_decimal(type_) or pa.types.is_temporal(type_)
        if field.name == "value" and plain:
            found = f"CAST({raw} AS VARCHAR)", True
        elif found[0] and field.choices:
            # names are ASCII: what a cast makes of other types will do to compare with them
            found = _choice(f"CAST({raw} AS VARCHAR)", field), False
    return found


def why_not(kind: Kind, type_: pa.DataType) -> str:
    """Return why a column of `type_` cannot be a field of `kind`, and what to do."""
    if kind is Kind.TIMESTAMP and (pa.types.is_timestamp(type_) or pa.types.is_date(type_)):
        return (
            f"the column is {type_}, without a time zone, and none is declared; "
            "declare the zone of its values (timezone, --timezone), for instance Europe/Warsaw"
        )
    if kind is Kind.TEXT and (pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        return f"must be text, not {type_}: as a fraction an id has lost its form; cast it where the extract is made"
    return f"must be {kind.value}, not {type_}"


def shown(raw: str, type_: pa.DataType) -> str:
    """Return SQL of what may be said of a value that does not fit, for types of which a cast to text says nothing good.

    Return no characters for the others.
    """
    if is_bytes(type_):
        return f"octet_length({raw}) || ' bytes'"
    if pa.types.is_timestamp(type_) and type_.unit in ("s", "ms"):
        # the engine fails on the text of a time that its microseconds cannot hold
        return "'a time out of range'"
    return ""


def _text(raw: str, type_: pa.DataType) -> EncodedValue:
    whole = pa.types.is_decimal(type_) and type_.scale == 0
    if is_text(type_) or whole or pa.types.is_integer(type_) or pa.types.is_boolean(type_) or _is_extension(type_):
        # nothing to cast for text; but what SQL makes of type UUID or JSON comes as text too
        return f"CAST({raw} AS VARCHAR)", True
    if is_bytes(type_):
        # some writers leave out the mark that says a BYTE_ARRAY is text
        return f"TRY(decode({raw}))", False
    return None, False


def _is_extension(type_: pa.DataType) -> bool:
    # such as arrow.uuid; pyarrow has classes for some of them only
    return str(type_).startswith("extension")


def _number(raw: str, type_: pa.DataType) -> EncodedValue:
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        return f"CAST({raw} AS VARCHAR)", True
    if pa.types.is_floating(type_):
        # the engine's JSON writer has the same digits in half the time; of 32 bits it shows those of 64
        digits = f"to_json({raw})" if pa.types.is_float64(type_) else raw
        return f"CASE WHEN isfinite({raw}) THEN CAST({digits} AS VARCHAR) END", False
    if is_text(type_):
        finite = f"isfinite(TRY_CAST({raw} AS DOUBLE))"
        return f"CASE WHEN regexp_full_match({raw}, '{_JSON_NUMBER}') AND {finite} THEN {raw} END", False
    return None, False


def _integer(raw: str, type_: pa.DataType) -> EncodedValue:
    small = pa.types.is_signed_integer(type_) and type_.bit_width <= 32
    if small or pa.types.is_uint8(type_) or pa.types.is_uint16(type_):
        return f"CAST({raw} AS VARCHAR)", True
    if pa.types.is_integer(type_):
        return f"CAST(TRY_CAST({raw} AS INTEGER) AS VARCHAR)", False
    if pa.types.is_decimal(type_) or pa.types.is_floating(type_):
        # a cast to INTEGER rounds; 1.5 pieces is no quantity
        return f"CASE WHEN {raw} = trunc({raw}) THEN CAST(TRY_CAST({raw} AS INTEGER) AS VARCHAR) END", False
    if is_text(type_):
        # 2.0 as in the line above: a list of dicts holds it where pandas had to make room for a missing number
        whole = rf"regexp_full_match({raw}, '[+-]?[0-9]+(\.0+)?')"
        return f"CASE WHEN {whole} THEN CAST(TRY_CAST({raw} AS INTEGER) AS VARCHAR) END", False
    return None, False


def _timestamp(raw: str, type_: pa.DataType, timezone: str | None) -> EncodedValue:
    # seconds and milliseconds reach years that the engine's microseconds do not
    moment = f"TRY_CAST({raw} AS TIMESTAMP)"
    if pa.types.is_timestamp(type_) and type_.unit == "ns":
        # a cast rounds, and the last moment of a day would be the next
        moment = f"make_timestamp(epoch_ns({raw}) // 1000)"
    if pa.types.is_timestamp(type_) and type_.tz:
        return _instant(f"timezone('UTC', {moment})" if type_.unit == "ns" else raw), False
    zone = quote_literal(timezone) if timezone else None
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        return (_instant(f"timezone({zone}, {moment})"), False) if zone else (None, False)
    if is_text(type_):
        cases = f"WHEN regexp_full_match({raw}, '{_DATE}{_TIME}{_OFFSET}') THEN TRY_CAST({raw} AS TIMESTAMPTZ)"
        if zone:
            naive = f"regexp_full_match({raw}, '{_DATE}({_TIME})?')"
            cases += f" WHEN {naive} THEN timezone({zone}, TRY_CAST({raw} AS TIMESTAMP))"
        return _instant(f"CASE {cases} END"), False
    return None, False


def _instant(sql: str) -> str:
    # strftime knows infinity, and years that ISO 8601 does not write with four digits
    in_range = f"{sql} BETWEEN TIMESTAMPTZ '0001-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"
    return f"CASE WHEN {in_range} THEN strftime({sql}, '%Y-%m-%dT%H:%M:%S.%gZ') END"


def _choice(sql: str, field: Field) -> str:
    spellings = {choice.lower(): choice for choice in field.choices} | STATUS_SPELLINGS
    cases = " ".join(
        f"WHEN {quote_literal(spelling)} THEN {quote_literal(choice)}" for spelling, choice in spellings.items()
    )
    return f"CASE lower({sql}) {cases} END"
