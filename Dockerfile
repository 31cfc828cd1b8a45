# docker build -t ulproxy .
# docker run -v /etc/ulproxy:/etc/ulproxy:ro -v ulproxy:/var/lib/ulproxy -p 11112:11112 ulproxy
# The health check wants [metrics] bind = "127.0.0.1:9108" in the configuration, or "0.0.0.0:9108" for who scrapes.
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/ulproxy
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ulproxy ulproxy
RUN /opt/ulproxy/bin/pip install --no-cache-dir . \
 && /opt/ulproxy/bin/pip uninstall --yes pip setuptools

FROM python:3.11-slim-bookworm
# No pip or setuptools of the image's own either.
RUN pip uninstall --yes setuptools wheel pip \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin ulproxy \
 && install -d -o ulproxy -g ulproxy -m 0750 /var/lib/ulproxy /run/ulproxy
COPY --from=build /opt/ulproxy /opt/ulproxy
ENV PATH=/opt/ulproxy/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /var/lib/ulproxy
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9108/healthz', timeout=4)"]
ENTRYPOINT ["ulproxy"]
CMD ["run", "/etc/ulproxy/ulproxy.toml", "--log-format", "json"]
