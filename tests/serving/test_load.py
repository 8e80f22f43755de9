"""Concurrent clients: each gets its own sound. benchmarks/serve_load.py measures the speed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from ppaudioldm import AudioLDM
from ppaudioldm.serving.formats import encode
from ppaudioldm.serving.result import Sound
from tests.serving.examples import CHECKPOINT, PATIENCE, answering, assert_same_sound, sound_of

PROMPTS = ("a dog barks", "rain falls on a roof of tin and glass", "a bell")
DURATION = 0.3


@pytest.mark.slow
def test_every_client_gets_its_own_sound(server):
    """Batched with others, of prompts of other lengths, each clip equals the one generated alone."""
    numbers = range(24)
    pipeline = AudioLDM.from_pretrained(CHECKPOINT, engine="eager")

    def alone(number: int) -> bytes:
        prompt = PROMPTS[number % len(PROMPTS)]
        clip = pipeline.generate(prompt, seed=number, duration=DURATION, num_inference_steps=1)
        return encode(Sound(clip.waveforms[0], clip.sample_rate, number), "wav")

    def asked(number: int) -> tuple[int, bytes]:
        body = {"prompt": PROMPTS[number % len(PROMPTS)], "seed": number, "duration": DURATION}
        with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
            generation = client.post("/v1/generations", json=body).json()
            with client.stream("GET", f"/v1/generations/{generation['id']}/events") as events:
                for _ in events.iter_lines():
                    pass
            answer = client.get(f"/v1/generations/{generation['id']}/audio")
            return int(answer.headers["x-seed"]), answer.content

    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(asked, numbers))
    for number, (seed, content) in zip(numbers, answers, strict=True):
        assert seed == number
        samples = slice(44, 44 + 2 * round(DURATION * 16000))  # the tags are behind them
        assert_same_sound(content[samples], alone(number)[samples])
    metrics = httpx.get(f"{server.url}/metrics").text
    assert any(line.startswith('ppaudioldm_batch_size_bucket{le="4.0"}') for line in metrics.splitlines())


def test_hundreds_at_once(tmp_path):
    with answering(tmp_path, queue_size=400) as server:

        def asked(seed: int) -> bytes:
            body = {"text": f"sound {seed}", "duration_seconds": 0.5, "seed": seed}
            answer = httpx.post(
                server.client.base_url.join("/v1/sound-generation"),
                params={"output_format": "pcm_16000"},
                json=body,
                timeout=PATIENCE,
            )
            assert answer.status_code == 200
            return answer.content

        with ThreadPoolExecutor(32) as clients:
            contents = list(clients.map(asked, range(200)))
        for seed, content in enumerate(contents):
            assert content == encode(Sound(sound_of(seed), 16000, seed), "pcm_16000")
        assert sum(map(len, server.pipeline.batches)) == 200
        assert max(map(len, server.pipeline.batches)) > 1
