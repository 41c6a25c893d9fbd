"""No container engine is at hand to try them: what Dockerfile and compose name must exist in the project."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from tests.models import ROOT
from webapp.serving import engine_settings
from workers.supervisor.commands import (
    ENGINE_PORT,
    WEB_PORT,
    Place,
    commands,
    database_users,
    default_home,
    default_model,
)
from workers.supervisor.one import command_of

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
ON_GPUS = {name: service for name, service in OURS.items() if "profiles" in service}
PORTS = {"web": WEB_PORT, "engine": ENGINE_PORT}


def variables_read() -> set[str]:
    """Every environment variable that the code asks for."""
    code = "\n".join(
        path.read_text() for folder in ("webapp", "workers") for path in (ROOT / folder).rglob("*.py")
    )
    return set(re.findall(r"""environ(?:\.get\(|\[)\s*["'](\w+)["']""", code)) | set(
        re.findall(r"""["']((?:HOUSESTYLE_|SECRET_)\w+)["']""", code)
    )


def test_there_is_a_service_for_every_process() -> None:
    home = default_home()
    lasting = {"engine", *database_users(Place(home=home, model=default_model(home)))}
    assert lasting | {"migrate", "prepare"} == set(OURS) - set(ON_GPUS)


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_the_command_of_its_name(name: str) -> None:
    assert command_of(OURS[name]["command"]).name == name  # argparse refuses what it does not know


def test_gpus_are_for_who_asks_for_them() -> None:
    assert set(ON_GPUS) == {"training-0", "training-1"}
    for service in ON_GPUS.values():
        assert service["profiles"] == ["gpus"]
        (devices,) = service["deploy"]["resources"]["reservations"]["devices"]
        # All of them, since one alone would be number 0 in its container, whatever its number outside.
        assert (devices["driver"], devices["count"], devices["capabilities"]) == ("nvidia", "all", ["gpu"])
    assert SERVICES["training"]["deploy"]["replicas"] == "${HOUSESTYLE_CPU_WORKERS:-1}"


@pytest.mark.parametrize("name", OURS)
def test_every_variable_of_a_service_is_read_by_the_code(name: str) -> None:
    assert set(OURS[name]["environment"]) - variables_read() == set()


@pytest.mark.parametrize("name", [name for name in OURS if name != "engine"])
def test_a_service_has_what_production_demands(name: str) -> None:
    given = OURS[name]["environment"]
    assert given["HOUSESTYLE_ENV"] == "production"
    assert {"SECRET_KEY", "HOUSESTYLE_MASTER_KEY", "HOUSESTYLE_ENGINE_TOKEN", "DATABASE_URL"} <= set(given)


VLLM = SERVICES["vllm"]
VLLM_OPTIONS = dict(re.findall(r"^--([a-z-]+)=?(.*)$", "\n".join(VLLM["command"]), re.M))


def test_vllm_serves_30_adapters_on_two_gpus_for_who_asks_for_it() -> None:
    assert VLLM["profiles"] == ["vllm"]
    assert re.fullmatch(r"vllm/vllm-openai:v\d+\.\d+\.\d+", VLLM["image"])
    (devices,) = VLLM["deploy"]["resources"]["reservations"]["devices"]
    assert devices["count"] == int(VLLM_OPTIONS["tensor-parallel-size"]) == 2
    assert "enable-lora" in VLLM_OPTIONS
    assert VLLM["environment"]["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    assert VLLM_OPTIONS["max-lora-rank"] == "64"  # the highest that a run may have
    assert VLLM_OPTIONS["served-model-name"] == "base"
    assert VLLM_OPTIONS["max-loras"] == VLLM_OPTIONS["max-cpu-loras"]


def test_the_web_is_told_of_vllm_as_the_file_says() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    (words,) = re.findall(r"^#\s+HOUSESTYLE_ENGINES=(\S+)$", text, re.M)
    (replica,) = engine_settings.parse(words, {})
    at = urlsplit(replica.url)
    assert (at.hostname, str(at.port)) == ("vllm", VLLM_OPTIONS["port"])
    assert replica.slots == int(VLLM_OPTIONS["max-loras"])
    assert replica.places == 30


def test_vllm_reads_adapters_and_bases_where_the_web_has_them_and_nothing_else() -> None:
    mounts = {volume["target"]: volume for volume in VLLM["volumes"]}
    assert set(mounts) == {"/data/storage/adapters", "/data/models"}
    for target, volume in mounts.items():
        assert volume["read_only"] is True
        assert target == f"/data/{volume['volume']['subpath']}"
    assert VLLM["networks"] == ["inside"] and "ports" not in VLLM
    (uid,) = re.findall(r"useradd .*--uid (\d+)", DOCKERFILE)
    assert VLLM["user"] == uid, "adapters can be read by their owner alone"


def test_no_secret_is_written_down() -> None:
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if re.search(r"KEY|TOKEN|PASSWORD|DATABASE_URL|REDIS_URL", name):
                assert re.search(r"\$\{\w+:\?", value), (
                    f"{name} is neither demanded from the environment nor absent"
                )


def test_addresses_name_services_and_their_ports() -> None:
    given = OURS["web"]["environment"]
    engine = urlsplit(given["HOUSESTYLE_ENGINE_URL"])
    assert engine.hostname in SERVICES
    assert engine.port == ENGINE_PORT
    for name, port in (("DATABASE_URL", 5432), ("REDIS_URL", 6379)):
        host = re.search(r"@(\w+):(\d+)/", given[name])
        assert host is not None
        assert host[1] in SERVICES
        assert int(host[2]) == port


@pytest.mark.parametrize(("name", "port"), PORTS.items())
def test_a_health_check_asks_the_address_that_the_supervisor_asks(name: str, port: int) -> None:
    home = default_home()
    health = commands(Place(home=home, model=default_model(home)))[name].health
    assert f":{port}/" in health
    assert health in OURS[name]["healthcheck"]["test"][-1]
    assert f"EXPOSE {port}" in DOCKERFILE


def test_only_the_web_can_be_reached_from_outside() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"web": [f"127.0.0.1:{WEB_PORT}:{WEB_PORT}"]}
    assert COMPOSE["networks"]["inside"] == {"internal": True}


@pytest.mark.parametrize("name", OURS)
def test_the_volume_is_mounted_where_the_data_is_kept(name: str) -> None:
    home = OURS[name]["environment"]["HOUSESTYLE_HOME"]
    assert [volume.split(":")[1] for volume in OURS[name]["volumes"]] == [home]
    assert f"HOUSESTYLE_HOME={home}" in DOCKERFILE
    assert {volume.split(":")[0] for volume in OURS[name]["volumes"]} <= set(COMPOSE["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_built_from_a_stage_that_exists(name: str) -> None:
    assert f" AS {OURS[name]['build']['target']}\n" in DOCKERFILE


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_exists(name: str) -> None:
    waited: Any = SERVICES[name].get("depends_on") or {}
    assert set(waited) <= set(SERVICES)
    for other, how in dict(waited).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert SERVICES[other]["restart"] == "no", "a process that is started again never completes"


def test_the_images_copy_and_install_what_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    ignored = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for copied in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.M):
        for name in copied.split():
            assert (ROOT / name).exists(), name
            assert name == "." or name in ignored, f"{name} is kept out by .dockerignore"
    assert set(re.findall(r'"\.\[(\w+)\]"', DOCKERFILE)) <= set(extras)
    assert all((ROOT / name).exists() for name in ignored)
    module = re.search(r'ENTRYPOINT \["python", "-m", "([\w.]+)"\]', DOCKERFILE)
    assert module is not None
    assert Path(ROOT, *module[1].split(".")).with_suffix(".py").exists()


def test_the_stages_start_commands_that_exist() -> None:
    for words in re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.M):
        assert command_of(yaml.safe_load(words)).arguments


def test_the_web_image_has_no_torch() -> None:
    stage = DOCKERFILE.split("AS web")[1].split("\nFROM ")[0]
    assert "[worker" not in stage
