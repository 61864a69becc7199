"""The one place that turns an Arrow type and value into the JSON of a field: SQL of the encoded value.

An encoded value is the text of the JSON, before quoting. It is NULL where the value is absent, or cannot be its
field's with all of its digits: then it is its order's problem, and `rule` is the rule that it breaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

import pyarrow as pa

from airflow_provider_ecdp.orders.contract import INTEGER, STATUS_BLANKS, STATUS_SPELLINGS, Field, Kind
from airflow_provider_ecdp.orders.engine.arrow_types import is_bytes, is_json, is_text, readable, wide
from airflow_provider_ecdp.orders.engine.quoting import quote_literal
from airflow_provider_ecdp.orders.sql.blank_text import matches_blank, unless_blank
from airflow_provider_ecdp.orders.sql.disclosure import number_sql
from airflow_provider_ecdp.orders.sql.json_columns import JSON_NUMBER, single

# beyond ISO 8601 the engine's cast takes `epoch`, a zone's name, blanks; it reads those as no offset
_DATE = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_TIME = r"[T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_HOURS = "[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?"
_OFFSET = f"(Z| UTC|{_HOURS})"

#: Times of the contract, and those that another zone may bring into it; the engine fails near the ends of its own.
_YEARS = "TIMESTAMPTZ '0001-01-01 00:00:00Z' AND TIMESTAMPTZ '9999-12-31 23:59:59.999999Z'"
_CALENDAR_YEARS = "TIMESTAMP '0001-01-01 00:00:00' AND TIMESTAMP '9999-12-31 23:59:59.999999'"
_LOCAL_YEARS = "TIMESTAMP '0001-01-01 00:00:00' - INTERVAL 2 DAYS AND TIMESTAMP '9999-12-31 23:59:59' + INTERVAL 2 DAYS"

#: Rules that a value breaks when it has no encoded value.
TEXT = "text in UTF-8"
NUMBER = "a finite number"
TIMESTAMP = "a date and time with a time zone, from year 1 to 9999"
LOCAL = "a date or time from year 1 to 9999"

#: Letters of the most common ways to write a status.
_COMMON_FORMS = (str.lower, str.upper, str.capitalize)

#: Shown of a float that is not finite, in place of the length of its text.
NOT_FINITE = "NaN or infinity"


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """SQL of an encoded value. `rule` is the rule that a value without one breaks; None if every value has one.

    `number` is SQL of the same value as a number of the engine's, which is cheaper to calculate with; empty for text.
    """

    sql: str
    rule: str | None = None
    number: str = ""


def encode(field: Field, raw: str, type_: pa.DataType, timezone: str | None) -> EncodedValue | None:
    """Return the encoded value of the column `raw` as `field`; None if no value of its type can be the field's.

    :param raw: SQL of the column, as the engine has it
    :param timezone: IANA name of the zone in which timestamps without a zone are read; None refuses them
    """
    encoded: EncodedValue | None
    if not readable(type_):
        encoded = None
    elif pa.types.is_null(type_):
        encoded = EncodedValue("CAST(NULL AS VARCHAR)")
    elif field.kind is Kind.NUMBER:
        encoded = _number(raw, type_)
    elif field.kind is Kind.INTEGER:
        encoded = _integer(raw, type_)
    elif field.kind is Kind.TIMESTAMP:
        encoded = _timestamp(raw, type_, timezone)
    elif field.name == "value":
        encoded = _attribute(raw, type_)
    else:
        encoded = _text(raw, type_)
        if encoded and field.choices:
            encoded = EncodedValue(_choice(raw, field), _listed(field))
    return encoded


def plain(raw: str, type_: pa.DataType) -> tuple[str, pa.DataType]:
    """Return a column without its dictionary: the engine's own dictionaries are enumerations, compared by place."""
    if not pa.types.is_dictionary(type_):
        return raw, type_
    return (f"CAST({raw} AS VARCHAR)" if is_text(type_.value_type) else raw), type_.value_type


def scalar(field: Field, raw: str, type_: pa.DataType) -> tuple[str, pa.DataType]:
    """Return a column that is to be a single value without its dictionary, and JSON as the value that it holds.

    A column without any value becomes text: the engine has functions that do not bind over its type NULL.
    """
    raw, type_ = plain(raw, type_)
    if pa.types.is_null(type_):
        return f"CAST({raw} AS VARCHAR)", pa.string()
    return (single(field, raw), pa.string()) if is_json(type_) else (raw, type_)


def present(field: Field, raw: str, type_: pa.DataType) -> str:
    """Return SQL of the column `raw`, with NULL for empty or blank text where `field` may be absent."""
    raw = as_text(raw, type_)
    if field.required:
        return raw
    if is_bytes(type_):
        return f"CASE WHEN {blank(raw, type_)} THEN NULL ELSE {raw} END"
    return unless_blank(raw) if is_text(type_) else raw


def as_text(raw: str, type_: pa.DataType) -> str:
    """Return SQL of the column `raw`, as text of the engine's if it is text of Arrow's, such as a UUID."""
    return f"CAST({raw} AS VARCHAR)" if is_text(type_) else raw


def blank(raw: str, type_: pa.DataType) -> str:
    """Return SQL of whether the column `raw`, which is not NULL, is empty or blank text; "" if no such value can be."""
    if is_bytes(type_):
        return f"coalesce({matches_blank(f'TRY(decode({raw}))')}, FALSE)"
    return matches_blank(raw) if is_text(type_) else ""


def why_not(field: Field, type_: pa.DataType) -> str:
    """Return why a column of `type_` cannot be `field`, and the remedy."""
    if field.kind is Kind.TIMESTAMP and (pa.types.is_timestamp(type_) or pa.types.is_date(type_)):
        return (
            f"the column is {type_}, which has no time zone; "
            "set timezone (--timezone) to the zone of its values, for example Europe/Warsaw"
        )
    if field.kind is Kind.TIMESTAMP and pa.types.is_integer(type_):
        return (
            f"must be a timestamp, not {type_}; convert it in an SQL text: "
            "to_timestamp(column) for seconds since 1970, make_timestamptz(column * 1000) for milliseconds, "
            "strptime(CAST(column AS VARCHAR), '%Y%m%d') for days"
        )
    if field.kind is Kind.TEXT and (pa.types.is_floating(type_) or pa.types.is_decimal(type_)):
        return f"must be text, not {type_}: an id stored as a fraction has lost its form; cast it in the export"
    return f"must be {field.kind.value}, not {type_}"


def shown(raw: str, type_: pa.DataType) -> str:
    """Return SQL of the text that may be shown of a value that does not fit, for types whose cast to text is unfit.

    It is empty for other types.
    """
    if is_bytes(type_):
        return number_sql(f"octet_length({raw})", "byte")
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        # the engine fails on the text of a time that its microseconds cannot hold
        return "'a time out of range'"
    return ""


def decimal_text(raw: str, type_: pa.DataType) -> str:
    """Return SQL of the digits of a decimal, as JSON writes them."""
    digits = f"CAST({raw} AS VARCHAR)"
    # the engine writes .50 where there is no room for a digit before the point
    return rf"regexp_replace({digits}, '^(-?)[.]', '\10.')" if type_.precision <= type_.scale else digits


def listed_status(raw: str) -> str:
    """Return SQL of a status in small letters, without the blanks around it.

    :param raw: SQL of a value of any type: names are ASCII, and other types are cast only to compare with them
    """
    # `lower` makes an i of İ, and Python does not
    letters = f"'{ascii_uppercase}', '{ascii_lowercase}'"
    return f"translate(trim(CAST({raw} AS VARCHAR), {quote_literal(STATUS_BLANKS)}), {letters})"


def _text(raw: str, type_: pa.DataType) -> EncodedValue | None:
    whole = pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale == 0)
    if is_text(type_):
        return EncodedValue(raw)
    if whole or pa.types.is_boolean(type_) or _is_text_extension(type_):
        return EncodedValue(f"CAST({raw} AS VARCHAR)")
    if is_bytes(type_):
        # some writers leave out the mark for a BYTE_ARRAY of text
        return EncodedValue(f"TRY(decode({raw}))", TEXT)
    return None


def _attribute(raw: str, type_: pa.DataType) -> EncodedValue | None:
    # the value of an attribute has no type of its own: 1.5 and 2026-11-01 are good values
    text = f"CAST({raw} AS VARCHAR)"
    if pa.types.is_decimal(type_):
        return EncodedValue(decimal_text(raw, type_))
    if pa.types.is_floating(type_):
        return EncodedValue(f"CASE WHEN isfinite({raw}) THEN {text} END", NUMBER)
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        moment = f"TRY_CAST({raw} AS {'TIMESTAMPTZ' if getattr(type_, 'tz', None) else 'TIMESTAMP'})"
        years = _YEARS if getattr(type_, "tz", None) else _CALENDAR_YEARS
        return EncodedValue(f"CASE WHEN {moment} BETWEEN {years} THEN {text} END", LOCAL)
    return EncodedValue(text) if pa.types.is_time(type_) else _text(raw, type_)


def _is_text_extension(type_: pa.DataType) -> bool:
    # pyarrow has classes for some of them only
    return str(type_).startswith(("extension<arrow.uuid", "extension<arrow.bool8"))


def _number(raw: str, type_: pa.DataType) -> EncodedValue | None:
    if pa.types.is_decimal(type_):
        # the engine reads a wide one as text
        return EncodedValue(decimal_text(raw, type_), number="" if wide(type_) else raw)
    if pa.types.is_integer(type_):
        return EncodedValue(f"CAST({raw} AS VARCHAR)", number=raw)
    if pa.types.is_floating(type_):
        # the engine's JSON writer has the same digits in half the time; of 32 bits it shows those of 64
        finite = f"CASE WHEN isfinite({raw}) THEN"
        if pa.types.is_float64(type_):
            return EncodedValue(f"{finite} CAST(to_json({raw}) AS VARCHAR) END", NUMBER, f"{finite} {raw} END")
        # the digits of 32 bits are another number than their 64 bits: 0.1 and 0.10000000149
        return EncodedValue(f"{finite} CAST({raw} AS VARCHAR) END", NUMBER)
    if is_text(type_):
        finite = f"isfinite(TRY_CAST({raw} AS DOUBLE))"
        return EncodedValue(f"CASE WHEN regexp_full_match({raw}, '{JSON_NUMBER}') AND {finite} THEN {raw} END", NUMBER)
    return None


def _integer(raw: str, type_: pa.DataType) -> EncodedValue | None:
    small = pa.types.is_signed_integer(type_) and type_.bit_width <= 32
    if small or pa.types.is_uint8(type_) or pa.types.is_uint16(type_):
        return EncodedValue(f"CAST({raw} AS VARCHAR)", number=raw)
    number = f"TRY_CAST({raw} AS INTEGER)"
    whole = f"CAST({number} AS VARCHAR)"
    if pa.types.is_integer(type_):
        return EncodedValue(whole, INTEGER, number)
    if is_text(type_) or wide(type_):
        # 2.0 as in the line below: a list of dicts holds it where pandas had to make room for a missing number
        return EncodedValue(rf"CASE WHEN regexp_full_match({raw}, '[+-]?[0-9]+(\.0+)?') THEN {whole} END", INTEGER)
    if pa.types.is_decimal(type_) or pa.types.is_floating(type_):
        # a cast to INTEGER rounds; 1.5 pieces is not a quantity
        fits = f"CASE WHEN {raw} = trunc({raw}) THEN"
        return EncodedValue(f"{fits} {whole} END", INTEGER, f"{fits} {number} END")
    return None


def _timestamp(raw: str, type_: pa.DataType, timezone: str | None) -> EncodedValue | None:
    zone = quote_literal(timezone) if timezone else None
    if pa.types.is_timestamp(type_) or pa.types.is_date(type_):
        moment = f"TRY_CAST({raw} AS TIMESTAMP)"
        if pa.types.is_timestamp(type_) and type_.unit == "ns":
            # a cast rounds, and the last moment of a day would be the next; a division rounds towards 1970
            moment = f"make_timestamp(epoch_ns({raw}) // 1000 - CAST(epoch_ns({raw}) % 1000 < 0 AS BIGINT))"
        if getattr(type_, "tz", None):
            return _instant(f"timezone('UTC', {moment})" if type_.unit == "ns" else raw)
        local = f"CASE WHEN {moment} BETWEEN {_LOCAL_YEARS} THEN {moment} END"
        return _instant(f"timezone({zone}, {local})") if zone else None
    if is_text(type_):
        cases = f"WHEN regexp_full_match({raw}, '{_DATE}{_TIME}{_OFFSET}') THEN TRY_CAST({raw} AS TIMESTAMPTZ)"
        # as Snowflake and Ruby write it; the cast takes no blank there
        joined = f"concat(split_part({raw}, ' ', 1), ' ', split_part({raw}, ' ', 2), split_part({raw}, ' ', 3))"
        spaced = f"regexp_full_match({raw}, '{_DATE}{_TIME.replace('[T ]', ' ')} {_HOURS}')"
        cases += f" WHEN {spaced} THEN TRY_CAST({joined} AS TIMESTAMPTZ)"
        if zone:
            naive = f"regexp_full_match({raw}, '{_DATE}({_TIME})?')"
            cases += f" WHEN {naive} THEN timezone({zone}, TRY_CAST({raw} AS TIMESTAMP))"
        return _instant(f"CASE {cases} END")
    return None


def _instant(sql: str) -> EncodedValue:
    # strftime knows infinity, and years that ISO 8601 does not write with four digits
    in_range = f"{sql} BETWEEN {_YEARS}"
    # of a time with a zone, the engine asks a calendar for each of its parts
    in_utc = f"make_timestamp(epoch_us({sql}))"
    return EncodedValue(f"CASE WHEN {in_range} THEN strftime({in_utc}, '%Y-%m-%dT%H:%M:%S.%gZ') END", TIMESTAMP)


def _choice(sql: str, field: Field) -> str:
    spellings = {choice.lower(): choice for choice in field.choices} | STATUS_SPELLINGS
    # `translate` takes a microsecond; most statuses are in one of these forms
    common = {form(spelling): choice for spelling, choice in spellings.items() for form in _COMMON_FORMS}
    usual = _looked_up(f"CAST({sql} AS VARCHAR)", common)
    # a CASE evaluates a branch for its own rows; coalesce evaluates all for all
    return f"CASE WHEN {usual} IS NULL THEN {_looked_up(listed_status(sql), spellings)} ELSE {usual} END"


def _looked_up(sql: str, values: Mapping[str, str]) -> str:
    """Return SQL of the value of the key `sql`, which is evaluated once; NULL for another key."""
    keys, texts = (f"[{', '.join(map(quote_literal, part))}]" for part in (values, values.values()))
    return f"list_extract({texts}, list_position({keys}, {sql}))"


def _listed(field: Field) -> str:
    return f"one of {', '.join(choice.lower() for choice in field.choices)}"
