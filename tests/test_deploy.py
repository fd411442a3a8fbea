"""What is deployed names what there is: files, options, versions, settings."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from bayesight.cli.app import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
# Of the Compose specification, https://compose-spec.io, what is used here.
SERVICE_KEYS = {
    "build", "cap_drop", "command", "depends_on", "environment", "healthcheck", "image", "ports", "read_only",
    "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes",
}  # fmt: skip


def options_of_serve() -> set[str]:
    command = typer.main.get_command(app).commands["serve"]
    return {name for parameter in command.params for name in parameter.opts}


def test_compose_has_known_keys_and_names_what_there_is():
    tree = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert set(tree) == {"services", "volumes"}
    for name, service in tree["services"].items():
        assert set(service) <= SERVICE_KEYS, name
        assert set(service["healthcheck"]) <= {"test", "interval", "timeout", "retries", "start_period"}
        assert ("image" in service) != ("build" in service)
        for other, how in service.get("depends_on", {}).items():
            assert other in tree["services"]
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in tree["services"][other]
    service = tree["services"]["service"]
    assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()
    assert service["command"][0] == "serve"
    options = {word.partition("=")[0] for word in service["command"] if word.startswith("--")}
    assert options <= options_of_serve()
    named = {volume.partition(":")[0] for one in tree["services"].values() for volume in one["volumes"]}
    assert {name for name in named if not name.startswith(".")} == set(tree["volumes"])


def test_the_image_installs_the_pinned_torch():
    text = (DEPLOY / "Dockerfile").read_text()
    pins = re.findall(r"^torch==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert len(pins) == 1
    assert f'"{pins[0]}"' in (ROOT / "Makefile").read_text()
    assert '"$(grep ^torch== constraints.txt)"' in text
    for source in re.search(r"^COPY (.+) \./$", text, re.MULTILINE).group(1).split():
        assert (ROOT / source).exists(), source


def test_the_unit_is_one_systemd_understands(tmp_path):
    text = (DEPLOY / "bayesight.service").read_text()
    start = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE).group(1)
    assert {word for word in start.split() if word.startswith("--")} <= options_of_serve()
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("no systemd-analyze; install Debian's package systemd")
    unit = tmp_path / "bayesight.service"
    unit.write_text(text.replace(start.split()[0], "/bin/true").replace("User=bayesight", "User=root"))
    done = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    ours = [line for line in done.stderr.splitlines() if "bayesight.service" in line]
    assert (done.returncode, ours) == (0, [])


def test_the_cluster_names_what_there_is():
    documents = list(yaml.safe_load_all((DEPLOY / "cluster/ray.yaml").read_text()))
    kinds = [one["kind"] for one in documents]
    assert kinds == ["Service", "NetworkPolicy", "Deployment", "Deployment", "Job"]
    selector = documents[0]["spec"]["selector"].items()
    assert selector <= documents[2]["spec"]["template"]["metadata"]["labels"].items()
    for one in documents[2:]:
        pod = one["spec"]["template"]
        assert pod["metadata"]["labels"]["app"] == "ray"  # or the network policy would not hold it
        (container,) = pod["spec"]["containers"]
        mounted = {volume["name"] for volume in container.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
    command = documents[-1]["spec"]["template"]["spec"]["containers"][0]["command"]
    parameters = typer.main.get_command(app).commands["update"].params
    known = {name for parameter in parameters for name in parameter.opts}
    assert {word for word in command if word.startswith("--")} <= known


def test_the_slurm_job_is_a_script():
    script = DEPLOY / "cluster/update.slurm"
    subprocess.run(["bash", "-n", script], check=True)
    assert "bayesight update" in script.read_text()
