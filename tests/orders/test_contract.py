"""The contract against the vendor's page, whose tables stand here once more, as the page writes them."""

import pytest

from airflow_provider_ecdp.orders.contract import INT32_MAX, INT32_MIN, ORDER, STATUS_SPELLINGS, Kind, walk

# Parameter, type, whether it has an asterisk, fewest and most characters: "Orders - API methods", POST, request.
PAGE = [
    ("id", "string", True, None, 128),
    ("date", "string($date-time)", True, None, None),
    ("totalValue", "number($double)", True, None, None),
    ("customer", "", True, None, None),
    ("products", "", True, None, None),
    ("customer.email", "string", False, None, 320),
    ("customer.phone", "string", False, None, 20),
    ("customer.crmId", "string", False, None, 128),
    ("products.id", "string", True, None, 128),
    ("products.name", "string", True, None, 2048),
    ("products.price", "number($double)", True, None, None),
    ("products.quantity", "integer($int32)", True, None, None),
    ("products.returned", "integer($int32)", False, None, None),
    ("products.url", "string", False, None, 2048),
    ("products.imageUrl", "string", False, None, 2048),
    ("products.category", "string", False, None, 2048),
    ("products.productAttributes", "", False, None, None),
    ("products.productAttributes.name", "string", True, 1, 256),
    ("products.productAttributes.value", "string", False, None, None),
    ("timeZone", "string", False, None, 100),
    ("websiteId", "integer($int32)", False, None, None),
    ("status", "string", False, None, None),
    ("currency", "string", False, 3, 3),
    ("returnsValue", "number($double)", False, None, None),
    ("orderAttributes", "", False, None, None),
    ("orderAttributes.name", "string", True, 1, 256),
    ("orderAttributes.value", "string", False, None, None),
]
KINDS = {
    "string": {Kind.TEXT},
    "string($date-time)": {Kind.TIMESTAMP},
    "number($double)": {Kind.NUMBER},
    "integer($int32)": {Kind.INTEGER},
    "": {Kind.OBJECT, Kind.LIST},
}
#: The keys of the page's example request, in its order.
EXAMPLE = [
    *("id", "date", "timeZone", "websiteId", "status", "currency", "totalValue", "returnsValue"),
    *("customer", "customer.email", "customer.phone", "customer.crmId"),
    *("products", "products.id", "products.name", "products.price", "products.quantity", "products.returned"),
    *("products.url", "products.imageUrl", "products.category"),
    *("products.productAttributes", "products.productAttributes.name", "products.productAttributes.value"),
    *("orderAttributes", "orderAttributes.name", "orderAttributes.value"),
]

FIELDS = dict(walk())


def test_the_contract_has_the_parameters_of_the_page_and_no_others():
    assert set(FIELDS) == {path for path, *_ in PAGE}


def test_fields_are_in_the_order_of_the_pages_example():
    assert list(FIELDS) == EXAMPLE


@pytest.mark.parametrize(("path", "type_", "required", "low", "high"), PAGE, ids=[path for path, *_ in PAGE])
def test_a_parameter_is_as_the_page_has_it(path, type_, required, low, high):
    field = FIELDS[path]

    assert field.kind in KINDS[type_]
    assert field.required is required
    assert field.max_length == high
    # the page gives an order's id no minimum; that of `orderId` in PUT holds, since no other call could name it
    assert field.min_length == (1 if path == "id" else low)


def test_a_shape_is_an_object_or_a_list_as_in_the_example():
    shapes = {path: field.kind for path, field in FIELDS.items() if field.fields}
    assert shapes == {
        "customer": Kind.OBJECT,
        "products": Kind.LIST,
        "products.productAttributes": Kind.LIST,
        "orderAttributes": Kind.LIST,
    }


def test_statuses_are_those_of_the_page_and_one_common_spelling():
    assert [choice.lower() for choice in FIELDS["status"].choices] == ["placed", "paid", "completed", "canceled"]
    assert STATUS_SPELLINGS == {"cancelled": "Canceled"}
    assert [path for path, field in FIELDS.items() if field.choices] == ["status"]


def test_integers_have_the_maximum_of_the_page():
    assert (INT32_MIN, INT32_MAX) == (-2147483648, 2147483647)


def test_what_identifies_a_customer_is_personal():
    assert {path for path, field in FIELDS.items() if field.personal} == {
        "customer.email",
        "customer.phone",
        "customer.crmId",
    }


def test_every_field_is_described():
    assert all(field.description for field in FIELDS.values())


def test_walking_gives_parents_first():
    seen = set()
    for path, _ in walk():
        parent = path.rpartition(".")[0]
        assert not parent or parent in seen
        seen.add(path)


def test_all_top_level_fields_are_walked():
    assert [path for path in FIELDS if "." not in path] == [field.name for field in ORDER]
