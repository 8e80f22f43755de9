# The server and its page on a CPU:
#   docker build -t ppaudioldm .
#   docker run --rm -p 127.0.0.1:8000:8000 -v ppaudioldm:/models ppaudioldm
# Downloaded checkpoints, prepared networks and finished jobs stay in the volume.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml MANIFEST.in README.md LICENSE ./
COPY assets/CREDITS.md assets/VOICES.md assets/
COPY ppaudioldm ppaudioldm
RUN python -m venv /opt/ppaudioldm \
    && /opt/ppaudioldm/bin/pip install --no-cache-dir ".[cpu,all]"

FROM python:3.12-slim
# Paddle's libraries need OpenMP's: in whatever version the base image's distribution has, which drops older ones.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home ppaudioldm \
    && install -d -o ppaudioldm /models
COPY --from=build /opt/ppaudioldm /opt/ppaudioldm
ENV PATH=/opt/ppaudioldm/bin:$PATH \
    HF_HOME=/models/hub \
    PPAUDIOLDM_CACHE=/models/cache \
    PPAUDIOLDM_DATA=/models/data \
    PPAUDIOLDM_HOST=0.0.0.0
# By its number: Kubernetes' runAsNonRoot does not look up names.
USER 10001
WORKDIR /models
VOLUME /models
EXPOSE 8000
# The first start of a large checkpoint prepares its networks, in which time it answers here as well.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["ppaudioldm"]
CMD ["ui"]
