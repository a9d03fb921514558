"""A Kubernetes CronJob that redistils from the harvest, with no more rights than that takes."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from distill_jobs.errors import JobError

_FIELD = re.compile(r"[0-9A-Za-z*/,\-?]+")
# What the image's `useradd` gives; see the Dockerfile.
_USER = 10001
_HOME = "/home/understudy"
_HEADER = """\
# Distils again from what cameras brought home. Made by
#   understudy job redistil {job} --harvest {harvest} --schedule "{schedule}"
# Needs: the image of `docker build --target distill`; three volume claims (the job with its data
# and weights, ${{UNDERSTUDY_DATA}} in a job file; the harvest; the model store); a secret with the
# signing key. The pods have no service account token, no root, no writable root file system and
# no network. A pod that is killed is started again and goes on where it was; a job that is refused
# (exit status 2) is not repeated.
"""


@dataclass(frozen=True)
class Schedule:
    """When and with what the CronJob runs.

    Attributes:
        cron: Five fields, UTC: "0 3 * * 0" is Sundays at three.
        job: The job file, or a run's folder, inside the claim `understudy-jobs`.
        harvest: The harvest's path inside the pod.
        options: Further options of the command, passed on as they are.
        image: Of the `distill` stage.
    """

    cron: str
    job: str = "job.yaml"
    harvest: str = f"{_HOME}/harvest"
    options: tuple[str, ...] = ()
    image: str = "understudy-distill:latest"


def check_cron(cron: str) -> str:
    """Return a schedule as it is.

    Raises:
        JobError: It has not five fields of cron's characters.
    """
    fields = cron.split()
    if len(fields) != 5 or not all(_FIELD.fullmatch(field) for field in fields):
        raise JobError(
            f"--schedule: must be five cron fields (minute hour day month weekday), UTC, for "
            f'example "0 3 * * 0"; it is {cron!r}'
        )
    return cron


def manifest(schedule: Schedule) -> str:
    """Return the CronJob and the policy that cuts its pods from the network, as YAML.

    Raises:
        JobError: The schedule is no cron schedule.
    """
    check_cron(schedule.cron)
    header = _HEADER.format(job=schedule.job, harvest=schedule.harvest, schedule=schedule.cron)
    parts = [_cron_job(schedule), _network_policy()]
    return header + yaml.safe_dump_all(parts, sort_keys=False, allow_unicode=True, width=100)


def _cron_job(schedule: Schedule) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "understudy-redistil", "labels": _labels()},
        "spec": {
            "schedule": schedule.cron,
            "timeZone": "Etc/UTC",
            # Two attempts at once would work on the same folder.
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "successfulJobsHistoryLimit": 3,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "spec": {
                    "backoffLimit": 4,
                    "activeDeadlineSeconds": 86400,
                    "podFailurePolicy": {
                        "rules": [
                            {
                                "action": "FailJob",
                                "onExitCodes": {
                                    "containerName": "redistil",
                                    "operator": "In",
                                    "values": [2],
                                },
                            }
                        ]
                    },
                    "template": {"metadata": {"labels": _labels()}, "spec": _pod(schedule)},
                }
            },
        },
    }


def _labels() -> dict[str, str]:
    return {"app.kubernetes.io/name": "understudy", "app.kubernetes.io/component": "redistil"}


def _pod(schedule: Schedule) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(schedule)],
        "volumes": [
            _claim("jobs", "understudy-jobs"),
            _claim("harvest", "understudy-harvest", read_only=True),
            _claim("model-store", "understudy-model-store"),
            {
                "name": "signing-key",
                "secret": {"secretName": "understudy-signing-key", "defaultMode": 0o440},
            },
            {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}},
        ],
    }


def _container(schedule: Schedule) -> dict[str, Any]:
    jobs = f"{_HOME}/jobs"
    return {
        "name": "redistil",
        "image": schedule.image,
        "args": [
            "job",
            "redistil",
            str(PurePosixPath(jobs) / schedule.job),
            f"--harvest={schedule.harvest}",
            f"--folder={jobs}/redistil",
            f"--model-store={_HOME}/model_store",
            f"--signing-key={_HOME}/signing/signing-key.pem",
            *schedule.options,
        ],
        # Libraries write settings and caches into a home; only /tmp takes them.
        "env": [
            {"name": "HOME", "value": "/tmp"},  # noqa: S108  # a volume of the pod's own
            {"name": "UNDERSTUDY_HOME", "value": "/tmp/understudy"},  # noqa: S108  # likewise
            {"name": "UNDERSTUDY_DATA", "value": jobs},
        ],
        "resources": {
            "requests": {"cpu": "2", "memory": "6Gi"},
            "limits": {"memory": "12Gi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "privileged": False,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "jobs", "mountPath": jobs},
            {"name": "harvest", "mountPath": schedule.harvest, "readOnly": True},
            {"name": "model-store", "mountPath": f"{_HOME}/model_store"},
            {"name": "signing-key", "mountPath": f"{_HOME}/signing", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # likewise
        ],
    }


def _claim(name: str, claim: str, *, read_only: bool = False) -> dict[str, Any]:
    source: dict[str, Any] = {"claimName": claim}
    if read_only:
        source["readOnly"] = True
    return {"name": name, "persistentVolumeClaim": source}


def _network_policy() -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "understudy-redistil", "labels": _labels()},
        "spec": {
            "podSelector": {"matchLabels": _labels()},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }
