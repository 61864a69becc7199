"""The routes of the Orders API: POST, GET, PUT and DELETE as on the vendor's page.

Routes read the raw body, so that numbers keep their digits, and the path as it was sent, which `Gate` gives them: an id
is one percent-encoded segment of it, whatever characters it holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes
from zlib import crc32

try:
    from fastapi import FastAPI, Request, Response
    from pydantic import ValidationError
    from starlette.exceptions import HTTPException
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"The sandbox needs {error.name}: pip install 'airflow-provider-ecdp[sandbox]'", name=error.name
    ) from error

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sandbox.faults import FaultPlan, Faults
from airflow_provider_ecdp.sandbox.gate import ORDERS, Gate
from airflow_provider_ecdp.sandbox.inspection import inspection
from airflow_provider_ecdp.sandbox.models import BATCH, STATUS_CHANGE
from airflow_provider_ecdp.sandbox.problems import NOBODY_NAMED, PROBLEM_JSON, named, problem, worded
from airflow_provider_ecdp.sandbox.wire import dump, holds_non_finite, parse_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ecdp.sandbox.gate import Hangup, Scope
    from airflow_provider_ecdp.sandbox.store import Store

JSON = "application/json; charset=utf-8"
#: The page shows `status: 0` with `data`, and no body at all for POST and PUT
_DONE = b'{"status":0}'


def _no_hangup(_scope: Scope, _reset: bool) -> None:
    raise ConfigurationError("faults that close connections need the sandbox to run in SandboxServer")


def create_app(
    store: Store,
    api_key: str | Sequence[str],
    faults: Faults | FaultPlan | None = None,
    *,
    hangup: Hangup = _no_hangup,
) -> FastAPI:
    """Return the ASGI application over a store; any of several keys opens it.

    Give a `FaultPlan` instead of `Faults` to swap faults at run time, and `hangup` to let faults close connections.
    """
    keys = [api_key] if isinstance(api_key, str) else list(api_key)
    if not keys or not all(key and key.isascii() for key in keys):
        raise ConfigurationError("the sandbox needs an API key of ASCII characters")
    plan = faults if isinstance(faults, FaultPlan) else FaultPlan(faults or Faults())
    orders = OrdersApi(store, plan)
    app = FastAPI(openapi_url=None, redirect_slashes=False)
    app.add_route("/orders", orders.post, methods=["POST"])
    app.add_route("/orders/status", orders.put_status, methods=["PUT"])
    app.add_route("/orders/{id}", orders.get, methods=["GET"])
    app.add_route("/orders/{id}", orders.delete, methods=["DELETE"])
    app.include_router(inspection(store, plan))
    app.add_exception_handler(HTTPException, _unknown_route)
    app.add_middleware(Gate, keys=keys, plan=plan, log=store.log, hangup=hangup)
    return app


class OrdersApi:
    """The Orders API, for requests whose key is right."""

    def __init__(self, store: Store, plan: FaultPlan) -> None:
        self._store = store
        self._plan = plan

    async def post(self, request: Request) -> Response:
        """Store a batch, all of it or nothing."""
        body = await request.body()
        if refusal := self._unreadable(request, body):
            return refusal
        try:
            batch = BATCH.validate_json(body)
        except ValidationError as error:
            return self._refuse(request, worded(error.errors(include_url=False, include_input=False), body))
        if holds_non_finite(body):
            return self._refuse(request, ["NaN and Infinity are not JSON"])
        ids = [order["id"] for order in batch["data"]]
        request.scope[ORDERS] = len(ids)
        faults = self._plan.faults
        if faults.max_orders is not None and len(ids) > faults.max_orders:
            return _problem(request, 413, f"More than {faults.max_orders:,} orders in one request.")
        refused = self._store.conflicts(batch["mode"], ids)
        refused += [(position, ": is refused") for position, order_id in enumerate(ids) if faults.refuses(order_id)]
        if refused:
            return self._refuse(request, [named(position, rule, ids[position]) for position, rule in sorted(refused)])
        self._store.write(ids, body)
        return Response(_DONE, 201, media_type=JSON)

    async def put_status(self, request: Request) -> Response:
        """Change the status of an order."""
        body = await request.body()
        if refusal := self._unreadable(request, body):
            return refusal
        try:
            change = STATUS_CHANGE.validate_json(body)
        except ValidationError as error:
            return self._refuse(request, worded(error.errors(include_url=False, include_input=False), body))
        if holds_non_finite(body):
            return self._refuse(request, ["NaN and Infinity are not JSON"])
        if not self._store.change_status(change["orderId"], body.decode()):
            return _problem(request, 404, "There is no such order.")
        return Response(_DONE, media_type=JSON)

    async def get(self, request: Request) -> Response:
        """Answer with an order."""
        return self._show(request, delete=False)

    async def delete(self, request: Request) -> Response:
        """Mark an order as deleted and answer with it."""
        return self._show(request, delete=True)

    def _show(self, request: Request, *, delete: bool) -> Response:
        order_id = _id_in(request)
        order = None if order_id is None else self._store.get(order_id, parse=parse_digits)
        if order is None or order_id is None:
            return _problem(request, 404, "There is no such order.")
        if delete:
            self._store.delete(order_id)
        return Response(dump({"status": 0, "data": _with_customer_id(order)}), media_type=JSON)

    def _unreadable(self, request: Request, body: bytes) -> Response | None:
        limit = self._plan.faults.max_bytes
        if limit is not None and len(body) > limit:
            return _problem(request, 413, f"The body is larger than {limit:,} bytes.")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" or request.headers.get("content-encoding", "identity") != "identity":
            return _problem(request, 415, "Send application/json, not compressed.")
        return None

    def _refuse(self, request: Request, errors: list[str]) -> Response:
        faults = self._plan.faults
        if faults.vague:
            return _problem(request, 400, NOBODY_NAMED, [NOBODY_NAMED])
        return _problem(request, 400, "The request was not processed.", errors[: faults.max_errors])


def _id_in(request: Request) -> str | None:
    """Return the order id in a path, which is one percent-encoded segment; None if it is not UTF-8."""
    try:
        return unquote_to_bytes(request.path_params["id"]).decode()
    except UnicodeDecodeError:
        return None


def _with_customer_id(order: dict[str, Any]) -> dict[str, Any]:
    customer = order["customer"]
    identifier = customer.get("crmId") or customer.get("email") or customer.get("phone")
    # the same customer has the same id in every order, without a table of customers; 31 bits are an int32
    return order | {"customer": {"id": crc32(identifier.encode()) >> 1, **customer}}


def _problem(request: Request, status: int, detail: str, errors: list[str] | None = None) -> Response:
    return Response(problem(status, detail, request.scope["path"], errors), status, media_type=PROBLEM_JSON)


async def _unknown_route(_request: Request, error: Exception) -> Response:
    # in the form of a web server or a gateway, not of the Orders API: a wrong base URL must not look like an absent
    # order
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Response(f"There is nothing here: {status}.", status, media_type="text/plain")
