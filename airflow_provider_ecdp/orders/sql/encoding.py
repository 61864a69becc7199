"""The JSON text of an order as SQL: absent fields are left out, numbers keep their own digits."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_provider_ecdp.orders.contract import Kind
from airflow_provider_ecdp.orders.sql.fields import FieldBinding, Node


def order_json(fields: FieldBinding) -> str:
    """Return SQL of the JSON text of an order; for an order with problems it has no meaning."""
    return _object(fields.nodes)


def _object(nodes: Sequence[Node]) -> str:
    # concat skips NULL, and with it the name and the comma of an absent field
    if nodes[0].field.required:
        members = ", ".join([_member(nodes[0], ""), *(_member(n, ",") for n in nodes[1:])])
        return f"concat('{{', {members}, '}}')"
    members = ", ".join(_member(n, ",") for n in nodes)
    return f"concat('{{', substr(concat({members}), 2), '}}')"


def _member(node: Node, comma: str) -> str:
    return f"'{comma}\"{node.field.name}\":' || {_value(node)}"


def _value(node: Node) -> str:
    kind = node.field.kind
    if kind is Kind.OBJECT:
        return _object(node.children)
    if kind is Kind.LIST:
        elements = f"list_transform({node.raw}, lambda {node.var}: {_object(node.children)})"
        return f"'[' || array_to_string({elements}, ',') || ']'"
    if kind is Kind.TIMESTAMP:
        return f"'\"' || {node.encoded} || '\"'"
    if kind is Kind.TEXT:
        return f"to_json({node.encoded})"
    return node.encoded
