"""The requests of the vendor's page as typed dictionaries that pydantic validates.

Only documented limits are enforced, lengths count characters, and every optional field may be `null`, since the
vendor's own shop plugins send it so. They also send numbers as strings and the status `Cancelled`, which are accepted
too, as are fields that are not on the page. Dictionaries and not `BaseModel`: a batch is validated in half the time.
"""

from __future__ import annotations

import functools
import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NotRequired

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, TypeAdapter, with_config
from pydantic_core import PydanticCustomError, PydanticKnownError
from typing_extensions import TypedDict  # pydantic takes the one of `typing` from Python 3.12 on only
from tzlocal import windows_tz

#: codes of the refusals that the models raise themselves; `problems` words them
DATE_TIME = "ecdp_date_time"
TIME_ZONE = "ecdp_time_zone"
NO_CONTACT = "ecdp_no_contact"

MAX_ID_LENGTH = 128

#: a character that can be seen: no blank, no control character, none that Unicode calls default-ignorable
_VISIBLE = re.compile(
    "[^\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f"
    "\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")


class Mode(StrEnum):
    """How a POST treats orders that are stored already."""

    ADD = "Add"
    ADD_OR_REPLACE = "AddOrReplace"
    REPLACE = "Replace"


class MatchBy(StrEnum):
    """How to find the customer of an order: not on the page, sent by the vendor's WooCommerce plugin."""

    EMAIL = "Email"
    PHONE_NUMBER = "PhoneNumber"
    CRM_ID = "CrmId"


def _on_the_calendar(text: str) -> str:
    # the pattern has proved the form; February 30 and hour 24 remain
    try:
        datetime.fromisoformat(text.upper())
    except ValueError:
        raise PydanticCustomError(DATE_TIME, "not a date-time") from None
    return text


def _number(value: object) -> object:
    """Return the number in a string that is a JSON number, and anything else unchanged."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value) if set(value) & set(".eE") else int(value)
    return value


def _visible(text: str) -> str:
    # nobody can tell two blank ids or names apart: they are as good as empty
    if not _VISIBLE.search(text):
        raise PydanticKnownError("string_too_short", {"min_length": 1})
    return text


def _a_zone(name: str) -> str:
    if name.lower() not in _zones():
        raise PydanticCustomError(TIME_ZONE, "not a time zone")
    return name


@functools.cache
def _zones() -> frozenset[str]:
    """Return the names of time zones, lower case: those of Windows and IANA, and those that the plugins send."""
    return frozenset(name.lower() for name in [*windows_tz.win_tz, *windows_tz.tz_win, "UTC", "GMT"] if name)


# `$date-time` is OpenAPI's name for RFC 3339: seconds and a zone are not optional
DateTime = Annotated[
    str,
    Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$"),
    AfterValidator(_on_the_calendar),
]
# an empty id has no path for GET or DELETE, and PUT documents a minimum of 1
OrderId = Annotated[str, Field(max_length=MAX_ID_LENGTH), AfterValidator(_visible)]
OrderStatus = Annotated[str, Field(pattern=r"^(?i:placed|paid|completed|cancell?ed)$")]
Double = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Int32 = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), BeforeValidator(_number)]
TimeZone = Annotated[str, Field(max_length=100), AfterValidator(_a_zone)]
Text128 = Annotated[str, Field(max_length=128)]
Text2048 = Annotated[str, Field(max_length=2048)]


_documented = with_config(ConfigDict(strict=True, extra="ignore"))


@_documented
class Attribute(TypedDict):
    """One element of `orderAttributes` or `productAttributes`."""

    name: Annotated[str, Field(max_length=256), AfterValidator(_visible)]
    value: NotRequired[str | None]


@_documented
class Customer(TypedDict):
    """Who placed the order."""

    email: NotRequired[Annotated[str, Field(max_length=320)] | None]
    phone: NotRequired[Annotated[str, Field(max_length=20)] | None]
    crmId: NotRequired[Text128 | None]


def _has_contact(customer: Customer) -> Customer:
    # like null, an empty or blank string identifies no customer
    contacts = (customer.get("email"), customer.get("phone"), customer.get("crmId"))
    if not any(contact and _VISIBLE.search(contact) for contact in contacts):
        raise PydanticCustomError(NO_CONTACT, "no contact")
    return customer


@_documented
class Product(TypedDict):
    """One line of an order."""

    id: Text128
    name: Text2048
    price: Double
    quantity: Int32
    returned: NotRequired[Int32 | None]
    url: NotRequired[Text2048 | None]
    imageUrl: NotRequired[Text2048 | None]
    category: NotRequired[Text2048 | None]
    productAttributes: NotRequired[list[Attribute] | None]


@_documented
class Order(TypedDict):
    """One element of `data`."""

    id: OrderId
    date: DateTime
    totalValue: Double
    customer: Annotated[Customer, AfterValidator(_has_contact)]
    products: list[Product]
    timeZone: NotRequired[TimeZone | None]
    websiteId: NotRequired[Int32 | None]
    status: NotRequired[OrderStatus | None]
    currency: NotRequired[Annotated[str, Field(min_length=3, max_length=3)] | None]
    returnsValue: NotRequired[Double | None]
    orderAttributes: NotRequired[list[Attribute] | None]


@_documented
class Batch(TypedDict):
    """The body of `POST /orders`."""

    mode: Mode
    matchBy: NotRequired[MatchBy | None]
    data: Annotated[list[Order], Field(min_length=1)]


@_documented
class StatusChange(TypedDict):
    """The body of `PUT /orders/status`; `websiteId` is not on the page, the vendor's Magento plugin sends it."""

    orderId: OrderId
    orderStatus: OrderStatus
    websiteId: NotRequired[Int32 | None]


BATCH = TypeAdapter(Batch)
STATUS_CHANGE = TypeAdapter(StatusChange)
