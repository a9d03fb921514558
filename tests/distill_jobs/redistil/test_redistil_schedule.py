import pytest
import yaml

from distill_jobs.environment import PROJECT_ROOT
from distill_jobs.errors import JobError
from distill_jobs.redistil.schedule import Schedule, manifest

COMMITTED = PROJECT_ROOT / "deploy/kubernetes/redistil/cronjob.yaml"


@pytest.fixture
def parts():
    return list(yaml.safe_load_all(COMMITTED.read_text()))


@pytest.fixture
def pod(parts):
    return parts[0]["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def test_the_committed_manifest_is_what_the_command_prints():
    schedule = Schedule(
        cron="0 3 * * 0", job="bccd/job.yaml", options=("--share=0.3", "--min-frames=20")
    )

    assert COMMITTED.read_text() == manifest(schedule)


def test_its_pods_may_do_no_more_than_they_must(parts, pod):
    (container,) = pod["containers"]
    policy = parts[1]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert (policy["ingress"], policy["egress"]) == ([], [])
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    assert container["resources"]["limits"]["memory"]


def test_every_mount_has_a_volume_and_what_is_only_read_is_read_only(pod):
    mounts = {one["name"]: one for one in pod["containers"][0]["volumeMounts"]}

    assert set(mounts) == {one["name"] for one in pod["volumes"]}
    assert {name for name, one in mounts.items() if one.get("readOnly")} == {
        "harvest",
        "signing-key",
    }
    assert not any("hostPath" in one for one in pod["volumes"])


def test_what_it_runs_is_a_command_that_exists(pod):
    from typer.main import get_command

    from distill_jobs.cli import job_app

    group, name, *arguments = pod["containers"][0]["args"]
    command = get_command(job_app).commands[name]

    context = command.make_context(name, list(arguments))

    assert group == "job"
    assert (context.params["share"], context.params["min_frames"]) == (0.3, 20)
    assert str(context.params["job"]) == "/home/understudy/jobs/bccd/job.yaml"


def test_a_refused_job_is_not_tried_again_and_two_never_run_at_once(parts):
    spec = parts[0]["spec"]
    (rule,) = spec["jobTemplate"]["spec"]["podFailurePolicy"]["rules"]

    assert spec["concurrencyPolicy"] == "Forbid"
    assert (rule["action"], rule["onExitCodes"]["values"]) == ("FailJob", [2])
    # Kubernetes refuses a failure policy with any other restart policy.
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"


@pytest.mark.parametrize("cron", ["", "0 3 * *", "0 3 * * 0 1", "0 3 * * ;", "@weekly"])
def test_what_is_no_schedule_is_told_with_an_example(cron):
    with pytest.raises(JobError, match=r'for example "0 3 \* \* 0"'):
        manifest(Schedule(cron=cron))
