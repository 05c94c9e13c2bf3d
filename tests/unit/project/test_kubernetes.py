"""The Kubernetes manifests: valid, confined, and the same as what the rest of the project says.

The rendered overlays are in the repository, with the digest of what they were made from. So they
are checked on machines without kustomize too, and cannot be forgotten on one.
"""

import json
import re
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from shared.broker.topology import RECOMMENDATION_WATCH
from tests.support.commands import run_command
from tests.support.repository import ROOT

FOLDER: Final = ROOT / "deploy/kubernetes"
SOURCES: Final = sorted(
    (path for part in ("base", "overlays") for path in (FOLDER / part).rglob("*")), key=str
)
OVERLAYS: Final = sorted(path.name for path in (FOLDER / "overlays").iterdir())
VERSIONS: Final = ("1.33", "1.37")  # of Kubernetes: the oldest and the newest that are checked
OPERATORS: Final = ("keda.sh/", "rabbitmq.com/")  # their kinds have no public schema in Kubernetes

overlays = pytest.mark.parametrize("overlay", OVERLAYS)


def rendered(overlay: str) -> Path:
    return FOLDER / "rendered" / f"{overlay}.yaml"


def resources(overlay: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(rendered(overlay).read_text()))


def of_kind(overlay: str, kind: str) -> Iterator[dict[str, Any]]:
    return (one for one in resources(overlay) if one["kind"] == kind)


def pods(overlay: str) -> Iterator[dict[str, Any]]:
    for one in resources(overlay):
        if one["kind"] in {"Deployment", "Job"}:
            yield one["spec"]["template"]["spec"]


@overlays
def test_what_is_rendered_was_made_from_what_is_there(overlay: str) -> None:
    digest = sha256(b"".join(path.read_bytes() for path in SOURCES if path.is_file())).hexdigest()

    assert digest in rendered(overlay).read_text().splitlines()[0], "run: make kubernetes"


@overlays
def test_what_is_rendered_is_what_kustomize_makes_where_it_is_installed(overlay: str) -> None:
    if shutil.which("kustomize"):
        command = ["kustomize", "build"]
    elif shutil.which("kubectl"):
        command = ["kubectl", "kustomize"]
    else:
        return  # the digest stands in for it, in the test above
    made = run_command(
        [*command, FOLDER / "overlays" / overlay],
        capture_output=True,
        text=True,
        check=True,
    )

    assert [*yaml.safe_load_all(made.stdout)] == resources(overlay)


@overlays
@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_word(overlay: str, version: str) -> None:
    for one in resources(overlay):
        if not one["apiVersion"].startswith(OPERATORS):
            kubernetes_validate.validate(one, version, strict=True)


def test_a_word_that_kubernetes_does_not_know_is_found() -> None:
    (service, *_) = of_kind("prod", "Service")
    service["spec"]["sellector"] = {}

    with pytest.raises(kubernetes_validate.ValidationError, match="sellector"):
        kubernetes_validate.validate(service, VERSIONS[-1], strict=True)


@overlays
def test_every_pod_is_confined(overlay: str) -> None:
    found = list(pods(overlay))

    assert len(found) == 3
    for pod in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False  # CONSUMPTION_PORT=tcp://… would be no port
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            confinement = container["securityContext"]
            assert confinement["readOnlyRootFilesystem"] is True
            assert confinement["allowPrivilegeEscalation"] is False
            assert confinement["capabilities"] == {"drop": ["ALL"]}
            assert {"requests", "limits"} <= {*container["resources"]}
            assert "memory" in container["resources"]["limits"]


@overlays
def test_every_service_is_probed_and_has_time_to_finish(overlay: str) -> None:
    for deployment in of_kind(overlay, "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
        assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
        wait = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert pod["terminationGracePeriodSeconds"] > wait + 30


@overlays
def test_no_secret_stands_in_a_manifest(overlay: str) -> None:
    assert [*of_kind(overlay, "Secret")] == []
    assert not re.search(r"amqps?://\w+:\w|postgresql://\w+:\w", rendered(overlay).read_text())


def test_the_rights_in_rabbitmq_are_the_same_as_everywhere() -> None:
    definitions = json.loads((ROOT / "deploy/rabbitmq/definitions.json").read_text())
    everywhere = {
        right["user"]: {what: right[what] for what in ("configure", "write", "read")}
        for right in definitions["permissions"]
        if right["user"] != "operator"
    }

    here = {
        one["spec"]["userReference"]["name"].removeprefix("upnext-"): one["spec"]["permissions"]
        for one in of_kind("prod", "Permission")
    }

    assert here == everywhere


def test_what_scales_looks_at_the_queue_that_there_is() -> None:
    (scaled,) = of_kind("prod", "ScaledObject")
    names = [
        trigger["metadata"]["queueName"]
        for trigger in scaled["spec"]["triggers"]
        if trigger["type"] == "rabbitmq"
    ]

    assert names == [RECOMMENDATION_WATCH.name]
