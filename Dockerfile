# The server with its bundled model; nothing is downloaded at run time.
#
#   docker build --tag streaming-speech .
#   docker run --rm --read-only --publish 50051:50051 streaming-speech
#
# Without TLS, as its default command says aloud. With it, and a folder of certificates:
#
#   docker run --rm --read-only --publish 50051:50051 --volume ./tls:/tls:ro streaming-speech \
#     --listen 0.0.0.0:50051 --tls-cert /tls/cert.pem --tls-key /tls/key.pem

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY protos ./protos
COPY service ./service
COPY client ./client
# Without pip inside: nothing will be installed into it later.
RUN python -m venv --without-pip /opt/venv \
    && pip --python /opt/venv/bin/python install --constraint constraints.txt .
# What is in the image, in CycloneDX: docker run --rm --entrypoint cat IMAGE /opt/venv/sbom.cdx.json
RUN pip install --constraint constraints.txt cyclonedx-bom \
    && cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
       --output-file /opt/venv/sbom.cdx.json /opt/venv/bin/python

FROM python:3.11-slim
LABEL org.opencontainers.image.title="streaming-speech" \
      org.opencontainers.image.description="Streaming speech recognition over gRPC" \
      org.opencontainers.image.licenses="Apache-2.0"
# At the same path, because the environment knows its own.
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    # Where models are kept that are downloaded by name (whisper:small). Mount a
    # volume here that user 65532 may write to.
    HF_HOME=/models \
    # In plain text for the health check below, whatever encrypts the other port.
    ASR_HEALTH_LISTEN=127.0.0.1:50052
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
WORKDIR /
EXPOSE 50051
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["python", "-m", "client.health", "--server", "127.0.0.1:50052"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["--listen", "0.0.0.0:50051", "--insecure-listen"]
