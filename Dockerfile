# Stages: `serve` runs TorchServe, the controller and the gateway; `distill` runs the offline jobs.
#   docker build --target serve --tag understudy-serve .
# Every stage takes its versions from the lock file and only its island's packages.
FROM debian:bookworm-slim AS python
# A volume takes its owner from the folder that lies at its place, so those are made here.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates libgl1 libglib2.0-0 python3 python3-venv tini \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home understudy \
 && install --directory --owner=understudy /home/understudy/.understudy \
      /home/understudy/model_store /home/understudy/runs \
 && python3 -m venv /opt/understudy
ENV PATH=/opt/understudy/bin:$PATH PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY proto proto
COPY handlers handlers
COPY distill_jobs distill_jobs
COPY serving serving
COPY understudy understudy

FROM python AS serve
RUN pip install --constraint requirements.lock '.[serving,worker]'
USER understudy
WORKDIR /home/understudy
ENV UNDERSTUDY_HOST=0.0.0.0
EXPOSE 8080 8083 8090
VOLUME ["/home/understudy/.understudy", "/home/understudy/model_store"]
HEALTHCHECK --start-period=30s CMD \
  ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/livez', timeout=3)"]
ENTRYPOINT ["tini", "--", "understudy"]
CMD ["serve"]

FROM python AS distill
RUN pip install --constraint requirements.lock '.[distill]'
USER understudy
WORKDIR /home/understudy
ENV YOLO_OFFLINE=1 YOLO_AUTOINSTALL=false
VOLUME ["/home/understudy/.understudy", "/home/understudy/model_store", "/home/understudy/runs"]
ENTRYPOINT ["tini", "--", "understudy"]
CMD ["job", "--help"]
