"""Whether the server lives and is ready, what it measures, and which models it has."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, HTTPException, Response
from pydantic import BaseModel

from ppaudioldm.serving.answers import errors
from ppaudioldm.serving.metrics import Metrics
from ppaudioldm.serving.models import Model
from ppaudioldm.serving.service import Service


class Status(BaseModel):
    status: str


class ModelAnswer(BaseModel):
    """A checkpoint, with the names that OpenAI's clients look for. licence: of the weights."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "ppaudioldm"
    tasks: list[str]
    sample_rate: int
    default_duration: float
    licence: str
    has_random_weights: bool

    @classmethod
    def of(cls, model: Model) -> ModelAnswer:
        return cls(
            id=model.name,
            tasks=list(model.tasks),
            sample_rate=model.sample_rate,
            default_duration=model.default_duration,
            licence=model.licence,
            has_random_weights=model.is_random,
        )


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelAnswer]


class ElevenLabsModel(BaseModel):
    """The same, as ElevenLabs' clients read it."""

    model_id: str
    name: str
    can_do_text_to_speech: bool
    can_do_voice_conversion: bool = False


def routes(service: Service, metrics: Metrics) -> APIRouter:
    router = APIRouter(tags=["status"])

    @router.get("/healthz", response_model=Status, responses=errors(), summary="The server lives")
    async def healthz() -> Status:
        return Status(status="ok")

    @router.get(
        "/readyz",
        response_model=Status,
        responses=errors(503),
        summary="The server makes sounds",
    )
    async def readyz() -> Status:
        if not service.is_ready:
            raise HTTPException(503, "the server is starting or stopping", {"Retry-After": "1"})
        return Status(status="ready")

    @router.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **errors()},
        summary="For Prometheus",
    )
    def measured() -> Response:
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    @router.get(
        "/v1/models",
        response_model=ModelList | list[ElevenLabsModel],
        responses=errors(),
        summary="The checkpoints of this server; as ElevenLabs lists models for who sends its header",
    )
    async def models(
        xi_api_key: Annotated[str | None, Header()] = None,
    ) -> ModelList | list[ElevenLabsModel]:
        there = service.models.all
        if xi_api_key is not None:
            return [
                ElevenLabsModel(model_id=model.name, name=model.name, can_do_text_to_speech=model.speaks)
                for model in there
            ]
        return ModelList(data=[ModelAnswer.of(model) for model in there])

    return router
