"""Routes for operators: runs, health, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from bayesight.ledger import RunRecord
from bayesight.service.api.common import REFUSALS, Admin, Predicter, TheService, refusals
from bayesight.service.http.schemas import RunAnswer, RunsAnswer, StatusAnswer

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/runs", summary="Runs the ledger knows", responses=REFUSALS)
async def runs(service: TheService, caller: Predicter) -> RunsAnswer:
    """Every run the ledger began with, and which of them this service answers with."""
    entries = await run_in_threadpool(service.ledger.runs)
    found = [
        RunAnswer(
            run=entry.run,
            model=entry.record.model,
            classes=list(entry.record.classes),
            began=entry.at,
            served=entry.run == service.beliefs.name,
        )
        for entry in entries
        if isinstance(entry.record, RunRecord)
    ]
    return RunsAnswer(runs=found)


@router.get("/health", summary="Whether the process lives")
async def health() -> StatusAnswer:
    """Always well while it answers."""
    return StatusAnswer(status="ok")


@router.get("/ready", summary="Whether it can answer", responses=refusals(503))
async def ready(service: TheService) -> StatusAnswer:
    """Ready once the ledger can be reached and the belief is at its head."""
    await service.current_belief()
    return StatusAnswer(status="ok")


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={**REFUSALS, 200: {"content": {"text/plain": {}}, "description": "in Prometheus' text format"}},
)
async def metrics(request: Request, service: TheService, caller: Admin) -> Response:
    """Requests, times, images, labels, and where the belief stands."""
    figures = request.app.state.metrics
    figures.dropped.set(service.recorder.dropped)
    figures.position.set(service.beliefs.last.state.position)
    return Response(figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
