"""Routes for the state of the server: liveness, readiness, measurements and models."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import BaseModel

from ppaudioldm.serving.metrics import Metrics
from ppaudioldm.serving.models import Model
from ppaudioldm.serving.responses import error_responses
from ppaudioldm.serving.service import Service


class Status(BaseModel):
    status: str


class ModelAnswer(BaseModel):
    """A checkpoint, in the fields that OpenAI's clients read. licence: of the weights. lora: names of adapters that
    a request may choose."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "ppaudioldm"
    tasks: list[str]
    sample_rate: int
    default_duration: float
    licence: str
    has_random_weights: bool
    lora: list[str]

    @classmethod
    def of(cls, model: Model) -> ModelAnswer:
        """The answer for `model`."""
        return cls(
            id=model.name,
            tasks=list(model.tasks),
            sample_rate=model.sample_rate,
            default_duration=model.default_duration,
            licence=model.licence,
            has_random_weights=model.is_random,
            lora=list(model.pipeline.adapters),
        )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class ElevenLabsModel(BaseModel):
    """A checkpoint, in the fields that ElevenLabs' clients read."""

    model_id: str
    name: str
    can_do_text_to_speech: bool
    can_do_voice_conversion: bool = False


def routes(service: Service, metrics: Metrics) -> APIRouter:
    """The routes."""
    router = APIRouter(tags=["status"])

    @router.get("/healthz", response_model=Status, responses=error_responses(), summary="Whether the server runs")
    async def healthz() -> Status:
        return Status(status="ok")

    @router.get(
        "/readyz",
        response_model=Status,
        responses=error_responses(503),
        summary="Whether the server accepts requests",
    )
    async def readyz() -> Status:
        if not service.is_ready:
            raise HTTPException(503, "the server is starting or stopping", {"Retry-After": "1"})
        return Status(status="ready")

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **error_responses()},
        summary="Measurements for Prometheus",
    )
    def show_metrics() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    @router.get(
        "/v1/models",
        response_model=ModelList | list[ElevenLabsModel],
        responses=error_responses(),
        summary="The checkpoints of this server, in ElevenLabs' format if the header xi-api-key is sent",
    )
    async def models(
        xi_api_key: Annotated[str | None, Header()] = None,
    ) -> ModelList | list[ElevenLabsModel]:
        available = service.models.all
        if xi_api_key is not None:
            return [
                ElevenLabsModel(model_id=model.name, name=model.name, can_do_text_to_speech=model.speaks)
                for model in available
            ]
        return ModelList(data=[ModelAnswer.of(model) for model in available])

    return router
