# One image per service: docker build --build-arg SERVICE=host_registry .
# What a service does not import it does not ship: its own dependencies are picked from the lock, with their hashes.

FROM python:3.11-slim AS build
ARG SERVICE
RUN test -n "$SERVICE" || (echo "give --build-arg SERVICE=<folder under services/>" >&2; exit 1)
WORKDIR /src
COPY requirements.lock ./
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock > uv.lock.txt \
 && pip install --no-cache-dir --require-hashes -r uv.lock.txt
COPY pyproject.toml ./
COPY deploy/install.sh ./deploy/
COPY libs ./libs
COPY services ./services
RUN UV_NO_CACHE=1 deploy/install.sh "$SERVICE" /venv && rm -r /venv/wheels /venv/requirements.txt

FROM python:3.11-slim
ARG SERVICE
ENV SERVICE=$SERVICE PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HTTP_HOST=0.0.0.0 HTTP_PORT=8001
RUN useradd --system --no-create-home --uid 10001 p2p
COPY --from=build /venv /venv
# By number, so that Kubernetes knows that it is not root.
USER 10001
WORKDIR /tmp
EXPOSE 8001
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"HTTP_PORT\"]}/health/ready', timeout=2)"]
# exec: SIGTERM must reach the service. -P: nothing is imported from the working directory.
CMD ["sh", "-c", "exec python -P -m \"$SERVICE\""]
