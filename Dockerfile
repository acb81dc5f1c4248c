# One image per service: docker build --build-arg SERVICE=host_registry .
# What a service does not import it does not ship: its own dependencies are picked from the lock, with their hashes.

FROM python:3.11-slim AS build
ARG SERVICE
RUN test -n "$SERVICE" || (echo "give --build-arg SERVICE=<folder under services/>" >&2; exit 1)
WORKDIR /src
COPY requirements.lock pyproject.toml ./
COPY libs ./libs
COPY services ./services
RUN grep -A 400 '^uv==' requirements.lock | awk 'NR > 1 && /^[a-z]/ { exit } { print }' > uv.lock.txt \
 && pip install --no-cache-dir --require-hashes -r uv.lock.txt
RUN uv venv /venv \
 && uv pip compile -q --no-header --generate-hashes --constraint requirements.lock \
        --no-emit-package chassis --no-emit-package contracts \
        "services/$SERVICE/pyproject.toml" -o service.lock \
 && uv pip install --python /venv/bin/python --no-cache --compile-bytecode --require-hashes -r service.lock \
 && uv pip install --python /venv/bin/python --no-cache --compile-bytecode --no-deps ./libs/contracts ./libs/chassis "./services/$SERVICE"

FROM python:3.11-slim
ARG SERVICE
ENV SERVICE=$SERVICE PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HTTP_HOST=0.0.0.0 HTTP_PORT=8001
RUN useradd --system --no-create-home --uid 10001 p2p
COPY --from=build /venv /venv
USER p2p
EXPOSE 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"HTTP_PORT\"]}/health/ready', timeout=2)"]
CMD ["sh", "-c", "exec python -m \"$SERVICE\""]
