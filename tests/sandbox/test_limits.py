"""Each documented limit of an order at its edge, over HTTP."""

import copy

import pytest
from contract_paths import MAX_LENGTHS, OPTIONAL, REQUIRED

WIDE = "ż"  # one character, two bytes
ASTRAL = "😀"  # one character, four bytes, two UTF-16 units


def put_at(order, path, value):
    """Return a copy of an order with one value set, or taken out where it is `...`."""
    changed = copy.deepcopy(order)
    at = changed
    *steps, last = path
    for step in steps:
        at = at[step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return changed


def place(path):
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)


LINE = ("products", 0)
LINE_ATTRIBUTE = (*LINE, "productAttributes", 0)
ORDER_ATTRIBUTE = ("orderAttributes", 0)

DOUBLES = [("totalValue",), ("returnsValue",), (*LINE, "price")]
INTEGERS = [("websiteId",), (*LINE, "quantity"), (*LINE, "returned")]
STRINGS = [
    *(path for path, _ in MAX_LENGTHS),
    ("date",),
    ("timeZone",),
    ("status",),
    ("currency",),
    (*LINE_ATTRIBUTE, "value"),
    (*ORDER_ATTRIBUTE, "value"),
]


def refusal(client, order):
    answer = client.post(order)
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    return error


@pytest.mark.parametrize("letter", ["a", WIDE, ASTRAL])
@pytest.mark.parametrize(("path", "length"), MAX_LENGTHS, ids=lambda of: place(of) if isinstance(of, tuple) else of)
def test_a_text_may_have_its_documented_length_and_not_one_character_more(client, order, path, length, letter):
    assert client.post(put_at(order, path, letter * length)).status_code == 201

    error = refusal(client, put_at(order, path, letter * (length + 1)))

    assert error.startswith(f"data[0]{place(path)}: must have at most {length} characters")


@pytest.mark.parametrize("path", REQUIRED, ids=place)
def test_a_required_field_may_be_neither_absent_nor_null(client, order, path):
    assert refusal(client, put_at(order, path, ...)).startswith(f"data[0]{place(path)}: is required")
    assert refusal(client, put_at(order, path, None)).startswith(f"data[0]{place(path)}: must be ")


@pytest.mark.parametrize("path", OPTIONAL, ids=place)
def test_an_optional_field_may_be_absent_or_null(client, order, path):
    assert client.post(put_at(order, path, ...)).status_code == 201
    assert client.post(put_at(order, path, None)).status_code == 201


@pytest.mark.parametrize("value", ["12,5", "", " 1", "1_0", "NaN", True, [], {}])
@pytest.mark.parametrize("path", DOUBLES, ids=place)
def test_a_double_must_be_a_number(client, order, path, value):
    assert refusal(client, put_at(order, path, value)).startswith(f"data[0]{place(path)}: must be a number")


@pytest.mark.parametrize("value", ["1.5", "", "x", True, 1.5, 2.0, []])
@pytest.mark.parametrize("path", INTEGERS, ids=place)
def test_an_integer_must_be_a_whole_number(client, order, path, value):
    assert refusal(client, put_at(order, path, value)).startswith(f"data[0]{place(path)}: must be a whole number")


@pytest.mark.parametrize(("path", "text"), [*((p, "99.995") for p in DOUBLES), *((p, "-3") for p in INTEGERS)])
def test_a_number_may_be_a_string_as_the_plugins_send_it(client, order, path, text):
    assert client.post(put_at(order, path, text)).status_code == 201


@pytest.mark.parametrize("path", INTEGERS, ids=place)
def test_an_integer_in_a_string_has_the_same_limits(client, order, path):
    assert refusal(client, put_at(order, path, str(2**31))).startswith(
        f"data[0]{place(path)}: must be at most 2147483647"
    )


@pytest.mark.parametrize("name", ["Pacific Standard Time", "pacific standard time", "Europe/Warsaw", "UTC", "GMT"])
def test_a_time_zone_is_one_of_windows_or_iana(client, order, name):
    assert client.post(order | {"timeZone": name}).status_code == 201
    for wrong in (f"{name}!", "", "Mars/Olympus_Mons"):
        assert refusal(client, order | {"timeZone": wrong}) == (
            "data[0].timeZone: must be the name of a time zone (order 'A-1')"
        )
    assert refusal(client, order | {"timeZone": "z" * 101}).startswith("data[0].timeZone: must have at most 100 char")


@pytest.mark.parametrize("path", INTEGERS, ids=place)
def test_an_integer_must_fit_into_32_bits(client, order, path):
    for edge, beyond, rule in ((2**31 - 1, 2**31, "at most 2147483647"), (-(2**31), -(2**31) - 1, "at least -2147")):
        assert client.post(put_at(order, path, edge)).status_code == 201
        assert refusal(client, put_at(order, path, beyond)).startswith(f"data[0]{place(path)}: must be {rule}")


def test_an_integer_beyond_64_bits_is_refused_like_any_other(client, order):
    assert refusal(client, put_at(order, ("websiteId",), 10**30)) == (
        "data[0].websiteId: must be at most 2147483647 (order 'A-1')"
    )


@pytest.mark.parametrize("value", [1, 1.5, True, ["x"], {"x": "y"}])
@pytest.mark.parametrize("path", STRINGS, ids=place)
def test_a_text_must_be_a_json_string(client, order, path, value):
    assert refusal(client, put_at(order, path, value)).startswith(f"data[0]{place(path)}: must be a string")


@pytest.mark.parametrize("path", [("products",), ("orderAttributes",), (*LINE, "productAttributes")], ids=place)
def test_a_list_must_be_an_array_of_objects(client, order, path):
    assert refusal(client, put_at(order, path, {})).startswith(f"data[0]{place(path)}: must be an array")
    assert refusal(client, put_at(order, path, ["x"])).startswith(f"data[0]{place(path)}[0]: must be an object")
    assert client.post(put_at(order, path, [])).status_code == 201


@pytest.mark.parametrize("path", [("id",), (*LINE_ATTRIBUTE, "name"), (*ORDER_ATTRIBUTE, "name")], ids=place)
def test_the_names_of_attributes_and_the_order_id_have_at_least_one_character(client, order, path):
    assert client.post(put_at(order, path, "x")).status_code == 201
    assert refusal(client, put_at(order, path, "")).startswith(f"data[0]{place(path)}: must have at least 1 char")


@pytest.mark.parametrize(("currency", "rule"), [("", "at least 3"), ("US", "at least 3"), ("USDT", "at most 3")])
def test_a_currency_has_three_characters(client, order, currency, rule):
    assert client.post(order | {"currency": "zzz"}).status_code == 201
    assert refusal(client, order | {"currency": currency}) == (
        f"data[0].currency: must have {rule} characters (order 'A-1')"
    )


@pytest.mark.parametrize("status", ["", "cancel", "shipped", "paid ", "paid\n", "Płacone"])
def test_a_status_that_is_not_listed_is_refused(client, order, status):
    assert refusal(client, order | {"status": status}) == (
        "data[0].status: must be one of placed, paid, completed, canceled (order 'A-1')"
    )


@pytest.mark.parametrize(
    "date",
    [
        "2024-11-06T10:10:00Z",
        "2024-02-29T23:59:59.999999999Z",
        "2024-11-06T10:10:00.055+00:00",
        "2024-11-06T10:10:00-08:00",
        "2024-11-06t10:10:00z",
    ],
)
def test_an_rfc_3339_date_time_is_taken(client, order, date):
    assert client.post(order | {"date": date}).status_code == 201


@pytest.mark.parametrize(
    "date",
    [
        "",
        "2024-11-06",
        "2024-11-06T10:10Z",
        "2024-11-06T10:10:00",
        "2024-11-06 10:10:00Z",
        "2024-11-06T10:10:00.Z",
        "2024-11-06T10:10:00+0100",
        "2023-02-29T10:10:00Z",
        "2024-13-01T10:10:00Z",
        "2024-11-06T25:10:00Z",
        "٢٠٢٤-11-06T10:10:00Z",
        "2024-11-06T10:10:00Z ",
        "1730887800",
    ],
)
def test_a_text_that_is_not_an_rfc_3339_date_time_is_refused(client, order, date):
    assert refusal(client, order | {"date": date}).startswith("data[0].date: must be an RFC 3339 date-time")


@pytest.mark.parametrize("contact", [{"email": "a@b.example"}, {"phone": "+1"}, {"crmId": "7"}])
def test_any_one_contact_is_enough(client, order, contact):
    assert client.post(order | {"customer": contact}).status_code == 201
    nulls = dict.fromkeys(("email", "phone", "crmId"))
    assert client.post(order | {"customer": nulls | contact}).status_code == 201


@pytest.mark.parametrize("customer", [{}, {"email": None}, {"email": "", "phone": None, "crmId": ""}, {"name": "n"}])
def test_a_customer_without_any_contact_is_refused(client, order, customer):
    assert refusal(client, order | {"customer": customer}) == (
        "data[0].customer: at least one of email, phone, crmId is required (order 'A-1')"
    )


def test_all_problems_of_all_orders_are_reported_at_once(client, order):
    bad = put_at(put_at(order, (*LINE, "price"), "1,0"), ("currency",), "E")

    errors = client.post(order, bad | {"id": "A-2"}, bad | {"id": 3}).json()["errors"]

    assert errors == [
        "data[1].products[0].price: must be a number (order 'A-2')",
        "data[1].currency: must have at least 3 characters (order 'A-2')",
        "data[2].id: must be a string",
        "data[2].products[0].price: must be a number",
        "data[2].currency: must have at least 3 characters",
    ]
