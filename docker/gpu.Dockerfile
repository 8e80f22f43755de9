# The server and its page on an NVIDIA GPU, with PyTorch, whose wheels bring CUDA; the machine needs its driver and the
# NVIDIA Container Toolkit:
#   docker build -t ppaudioldm-gpu -f docker/gpu.Dockerfile .
#   docker run --rm --gpus all -p 127.0.0.1:8000:8000 -v ppaudioldm:/models ppaudioldm-gpu ui -c audioldm2-full
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY assets/CREDITS.md assets/VOICES.md assets/
COPY ppaudioldm ppaudioldm
RUN python -m venv /opt/ppaudioldm \
    && /opt/ppaudioldm/bin/pip install --no-cache-dir ".[torch,all]"

FROM python:3.12-slim
RUN useradd --uid 10001 --no-create-home ppaudioldm \
    && install -d -o ppaudioldm /models
COPY --from=build /opt/ppaudioldm /opt/ppaudioldm
ENV PATH=/opt/ppaudioldm/bin:$PATH \
    HF_HOME=/models/hub \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PPAUDIOLDM_CACHE=/models/cache \
    PPAUDIOLDM_DATA=/models/data \
    PPAUDIOLDM_FRAMEWORK=torch \
    PPAUDIOLDM_HOST=0.0.0.0
# By its number: Kubernetes' runAsNonRoot does not look up names.
USER 10001
WORKDIR /models
VOLUME /models
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["ppaudioldm"]
CMD ["ui"]
