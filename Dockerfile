# One file, three images of one user without rights:
#   docker build --target gateway --tag understudy-gateway .   gateways and the controller; no torch
#   docker build --target worker --tag understudy-worker .     TorchServe; everything on one machine
#   docker build --target distill --tag understudy-distill .   offline jobs, labelling, TensorBoard, JupyterLab
# Each takes its versions from the lock file and only its island's packages. They run with a
# read-only root file system: what they write goes to the volumes below and to /tmp. What is in each,
# Debian's packages and Python's, is listed in its /opt/understudy/sbom.cdx.json (CycloneDX).
FROM debian:bookworm-slim AS system
# A volume takes its owner from the folder that lies at its place, so those are made here.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 tini \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --system --uid 10001 --create-home understudy \
 && install --directory --owner=understudy /home/understudy/.understudy \
      /home/understudy/model_store /home/understudy/runs
ENV PATH=/opt/understudy/bin:$PATH PYTHONUNBUFFERED=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /home/understudy

# What an island needs is installed before the code: a change of the code costs a small layer alone.
FROM system AS python
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && python3 -m venv /opt/understudy
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./

FROM python AS gateway-packages
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir --no-compile '.[serving,tracing]'
# Writes the bill of materials, and stays behind.
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir --target /opt/bill \
      cyclonedx-python-lib
COPY --from=system /var/lib/dpkg/status /opt/bill/status
COPY proto proto
COPY handlers handlers
COPY distill_jobs distill_jobs
COPY serving serving
COPY understudy understudy
# Half of what the packages hold serves nobody here: their tests, their debuggers' symbols, and the
# byte code of modules that are never imported. Importing the programs once writes what is.
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir --no-compile --no-deps \
      --force-reinstall . \
 && cd /opt/understudy/lib/python3*/site-packages \
 && rm -r distill_jobs/demo/*.pt pip pip-* setuptools* pkg_resources _distutils_hack \
      distutils-precedence.pth /opt/understudy/bin/pip* \
 && find . -type d -name tests -prune -exec rm -r {} + \
 && find . -name '*.so' -not -path './*.libs/*' -exec strip --strip-unneeded {} + \
 && cd / \
 && python3 -c 'import serving.app, serving.health, serving.worker.program, understudy.cli, \
      serving.console.rooms, serving.supervisor.controller_process, \
      serving.supervisor.gateway_process' \
 && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/bill python3 -m distill_jobs.release.sbom \
      --debian /opt/bill/status /opt/understudy/sbom.cdx.json

FROM system AS gateway
COPY --from=gateway-packages /opt/understudy /opt/understudy
USER 10001
ENV UNDERSTUDY_HOST=0.0.0.0 UNDERSTUDY_READY_FILE=/tmp/understudy-ready.json
# Cameras' HTTP, operators, metrics, cameras' gRPC.
EXPOSE 8080 8081 8083 8090
VOLUME ["/home/understudy/.understudy", "/home/understudy/model_store"]
HEALTHCHECK --start-period=60s CMD ["python3", "-I", "-m", "serving.health"]
# SIGTERM drains: give it longer than UNDERSTUDY_STOP_TIMEOUT_S (30 s) to stop.
ENTRYPOINT ["tini", "--", "understudy"]
CMD ["serve", "gateway"]

# OpenCV's wheel needs these two libraries.
FROM python AS vision
RUN apt-get update \
 && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

FROM vision AS worker
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir '.[serving,tracing,worker]' \
      cyclonedx-python-lib \
 && pip uninstall --yes openvino-telemetry
COPY proto proto
COPY handlers handlers
COPY distill_jobs distill_jobs
COPY serving serving
COPY understudy understudy
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir --no-deps --force-reinstall . \
 && cd / && python3 -m distill_jobs.release.sbom --debian /var/lib/dpkg/status \
      /opt/understudy/sbom.cdx.json
USER 10001
WORKDIR /home/understudy
# Which GPUs there are is NVIDIA_VISIBLE_DEVICES' to say, at the start and not here: a default of
# "all" would hand them to containers that asked for none.
ENV UNDERSTUDY_HOST=0.0.0.0 UNDERSTUDY_READY_FILE=/tmp/understudy-ready.json \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility ORT_DISABLE_TELEMETRY=1
# As the gateway's; and the controller's way to a worker, and frames' way to TorchServe.
EXPOSE 8080 8081 8083 8084 8085 8090
VOLUME ["/home/understudy/.understudy", "/home/understudy/model_store"]
HEALTHCHECK --start-period=60s CMD ["python3", "-I", "-m", "serving.health"]
ENTRYPOINT ["tini", "--", "understudy"]
CMD ["serve", "worker"]

FROM vision AS distill
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir '.[distill,explore,label,mlflow]' \
 && pip uninstall --yes openvino-telemetry
COPY proto proto
COPY handlers handlers
COPY distill_jobs distill_jobs
COPY serving serving
COPY understudy understudy
RUN PIP_CONSTRAINT=requirements.lock pip install --no-cache-dir --no-deps --force-reinstall . \
 && cd / && python3 -m distill_jobs.release.sbom --debian /var/lib/dpkg/status \
      /opt/understudy/sbom.cdx.json
USER 10001
WORKDIR /home/understudy
ENV YOLO_OFFLINE=1 YOLO_AUTOINSTALL=false ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# TensorBoard, JupyterLab.
EXPOSE 6006 8888
VOLUME ["/home/understudy/.understudy", "/home/understudy/model_store", "/home/understudy/runs"]
ENTRYPOINT ["tini", "--", "understudy"]
CMD ["job", "--help"]
