"""The order of the Orders API as data: every parameter, type, length and limit of the vendor's page, once.

Source: ExpertSender CDP, "Orders - API methods", request of the POST method. Where the page is silent, `note` gives the
source of the rule. Checks, encoding and the field tables of the docs are derived from this table.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

INT32_MAX = 2_147_483_647
INT32_MIN = -INT32_MAX - 1

#: The rule of an integer, for messages.
INTEGER = f"a whole number from {INT32_MIN} to {INT32_MAX}"


class Kind(enum.StrEnum):
    """The JSON kind of a field."""

    TEXT = "string"
    NUMBER = "number (double)"
    INTEGER = "integer (int32)"
    TIMESTAMP = "string (date-time)"
    OBJECT = "object"
    LIST = "list of objects"


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of the API.

    Lengths are counted in characters. `choices` are in the form that is sent; their case does not matter to the API.
    `personal` marks values that may never be shown. `fields` are the parameters of an object or of a list's objects.
    """

    name: str
    kind: Kind
    required: bool = False
    min_length: int | None = None
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    personal: bool = False
    fields: tuple[Field, ...] = ()
    description: str = ""
    note: str = ""

    @property
    def any_text(self) -> bool:
        """Whether its values are texts of any words: no choice, and no name of a time zone."""
        return self.kind is Kind.TEXT and not self.choices and self.name != "timeZone"


ATTRIBUTE = (
    Field("name", Kind.TEXT, required=True, min_length=1, max_length=256, description="Name of the feature"),
    Field("value", Kind.TEXT, description="Value of the feature", note="the page gives no limit"),
)

PRODUCT = (
    Field("id", Kind.TEXT, required=True, max_length=128, description="ID of the purchased product"),
    Field("name", Kind.TEXT, required=True, max_length=2048, description="Product name"),
    Field("price", Kind.NUMBER, required=True, description="Product price"),
    Field("quantity", Kind.INTEGER, required=True, description="Quantity purchased"),
    Field("returned", Kind.INTEGER, description="Number of returned products"),
    Field("url", Kind.TEXT, max_length=2048, description="URL of the product"),
    Field("imageUrl", Kind.TEXT, max_length=2048, description="Image URL of the product"),
    Field("category", Kind.TEXT, max_length=2048, description="Category of the product"),
    Field("productAttributes", Kind.LIST, fields=ATTRIBUTE, description="Features of the product"),
)

CUSTOMER = (
    Field("email", Kind.TEXT, max_length=320, personal=True, description="E-mail address of the customer"),
    Field("phone", Kind.TEXT, max_length=20, personal=True, description="Telephone number of the customer"),
    Field("crmId", Kind.TEXT, max_length=128, personal=True, description="CRM ID of the customer"),
)

ORDER = (
    Field(
        "id",
        Kind.TEXT,
        required=True,
        min_length=1,
        max_length=128,
        description="Order ID",
        note="the minimum is that of `orderId` in PUT: an order without an id cannot be addressed",
    ),
    Field("date", Kind.TIMESTAMP, required=True, description="When the order was placed; sent in UTC, milliseconds"),
    Field(
        "timeZone",
        Kind.TEXT,
        max_length=100,
        description="Time zone in which the order was placed: a Windows name; IANA names are translated",
        note="a name that is neither Windows nor IANA is refused; `UTC` and `GMT` are sent unchanged",
    ),
    Field("websiteId", Kind.INTEGER, description="ID of the website where the order was placed"),
    Field(
        "status",
        Kind.TEXT,
        choices=("Placed", "Paid", "Completed", "Canceled"),
        description="Order status, in any case",
        note="`cancelled` is sent as `Canceled`, with the warning `status_spelling`",
    ),
    Field("currency", Kind.TEXT, min_length=3, max_length=3, description="Currency of the order"),
    Field("totalValue", Kind.NUMBER, required=True, description="Total order value"),
    Field("returnsValue", Kind.NUMBER, description="Value of returned products"),
    Field(
        "customer",
        Kind.OBJECT,
        required=True,
        fields=CUSTOMER,
        description="The customer",
        note="at least one of email, phone, crmId; the one of the connection's matching mode if that is set;"
        " an empty or blank value counts as absent",
    ),
    Field("products", Kind.LIST, required=True, fields=PRODUCT, description="The purchased products"),
    Field("orderAttributes", Kind.LIST, fields=ATTRIBUTE, description="Features of the order"),
)

#: Accepted spellings of a status other than the page's own, in lower case.
STATUS_SPELLINGS = {"cancelled": "Canceled"}

#: Every spelling of a status that is accepted, lower case, and the spelling that is sent.
STATUSES = {c.lower(): c for field in ORDER if field.name == "status" for c in field.choices} | STATUS_SPELLINGS

#: Characters around a status that are ignored: columns of a fixed width add them.
STATUS_BLANKS = " \t\n\r\v\f\u00a0"

#: Text without a visible character, as a pattern for Python and for the engine: blanks, control characters, and the
#: characters that Unicode calls default-ignorable. Such text counts as empty.
BLANK_TEXT = (
    r"[\x00-\x20\x7f-\xa0\xad"
    "\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*"
)

#: Words that exports have in place of a missing value, in lower case. All customers with one of them become one.
PLACEHOLDERS = ("null", "(null)", "none", "nil", "nan", "nat", "<na>", "n/a", "#n/a", "\\n", "undefined")

#: Names of attributes of one kind that a business unit has at most: "settings of orders" of the vendor's help.
MAX_ATTRIBUTE_NAMES = 10

#: Unusual but permitted values: such orders are sent and counted; they are errors only if the user asks for it.
WARNINGS = {
    "negative_quantity": "a product's quantity is below zero",
    "total_mismatch": "totalValue differs from the sum of price times quantity by more than 0.01",
    "future_date": "the date is more than a day after the start of the run",
    "email_without_at": "customer.email has no @",
    "placeholder": "a field of the customer holds a word for a missing value, such as NULL or nan",
    "empty_text": "a required text of a product is empty or blank",
    "no_products": "products is an empty list",
    "lines_differ": "a value of the order differs between its lines, and the smallest was taken",
    "status_spelling": "the status was sent in the API's spelling, Canceled",
    "negative_total": "totalValue is below zero",
    "negative_returns": "returnsValue is below zero",
    "currency_code": "currency is not an ISO 4217 code in capital letters",
    "phone_spaces": "customer.phone contains spaces",
    "id_spaces": "the order's id contains spaces",
    "many_attributes": f"more than {MAX_ATTRIBUTE_NAMES} different attribute names of one kind in one run",
}


def walk(fields: tuple[Field, ...] = ORDER, prefix: str = "") -> Iterator[tuple[str, Field]]:
    """Yield every field with its dotted path, such as `products.productAttributes.name`, parents first."""
    for field in fields:
        path = f"{prefix}{field.name}"
        yield path, field
        yield from walk(field.fields, f"{path}.")


def folded_name(name: str) -> str:
    """Return the form in which names of columns and fields, and paths of fields, are compared."""
    return name.replace("_", "").lower()


def is_blank_text(value: object) -> bool:
    """Whether a value is text without a visible character."""
    return isinstance(value, str) and re.fullmatch(BLANK_TEXT, value) is not None


def on_one_line(name: str) -> str:
    """Return a name for a message, with escapes for line breaks, control characters and others that cannot be seen."""
    return name if name.isprintable() else repr(name)[1:-1]
