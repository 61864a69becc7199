"""Inspection of the sandbox over HTTP: `/_sandbox/...`, without a key, from this machine only; no part of ECDP."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import TypeAdapter, ValidationError

from airflow_provider_ecdp.errors import ConfigurationError
from airflow_provider_ecdp.sandbox.faults import FaultPlan, Faults
from airflow_provider_ecdp.sandbox.gate import INSPECTION_PREFIX
from airflow_provider_ecdp.sandbox.problems import PROBLEM_JSON, problem

if TYPE_CHECKING:
    from airflow_provider_ecdp.sandbox.store import Store

FAULTS = TypeAdapter(Faults)

Limit = Annotated[int, Query(ge=0, le=10_000)]
Offset = Annotated[int, Query(ge=0)]


def inspection(store: Store, plan: FaultPlan) -> APIRouter:
    """Return the routes that show the sandbox's orders and requests, and that set its faults."""
    router = APIRouter(prefix=INSPECTION_PREFIX)

    @router.get("/counts")
    async def counts() -> dict[str, int]:
        by_method = store.log.by_method
        return {
            "stored": store.count(),
            "deleted": store.count_deleted(),
            "written": store.total_writes(),
            "posts": by_method["POST"],
            "gets": by_method["GET"],
            "puts": by_method["PUT"],
            "deletes": by_method["DELETE"],
            "in_flight_peak": store.log.in_flight_peak,
        }

    @router.get("/orders")
    async def orders(limit: Limit = 100, offset: Offset = 0) -> Response:
        # the text as it was sent: a parser on the way would lose the digits
        texts = ",".join(store.raw(order_id) for order_id in store.ids(limit, offset))
        return Response(f'{{"total":{store.count()},"orders":[{texts}]}}', media_type="application/json")

    @router.get("/writes")
    async def writes(limit: Limit = 1000) -> dict[str, dict[str, int]]:
        return {"writes": store.repeated_writes(limit)}

    @router.get("/requests")
    async def requests(limit: Limit = 100, offset: Offset = 0) -> dict[str, Any]:
        log, entries = store.log, store.requests
        return {
            "total": log.by_method.total(),
            "by_status": dict(log.by_status),
            "by_fault": dict(log.by_fault),
            "requests": [asdict(entry) for entry in entries[offset : offset + limit]],
        }

    @router.get("/faults")
    async def faults() -> Response:
        return Response(FAULTS.dump_json(plan.faults), media_type="application/json")

    @router.put("/faults")
    async def set_faults(request: Request) -> Response:
        try:
            plan.set(FAULTS.validate_json(await request.body()))
        except ConfigurationError as error:
            return _refused(request, [str(error)])
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            return _refused(
                request, [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in problems]
            )
        return Response(FAULTS.dump_json(plan.faults), media_type="application/json")

    @router.delete("")
    async def reset() -> dict[str, int]:
        store.reset()
        plan.set(plan.faults)
        return {"stored": 0}

    return router


def _refused(request: Request, errors: list[str]) -> Response:
    body = problem(400, "The faults are as before.", request.url.path, errors)
    return Response(body, 400, media_type=PROBLEM_JSON)
