"""The child's command line, as accelerate reads it; tests/engine/test_several.py runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env

from workers.supervisor.devices import environment_of, parse
from workers.trainer_command import child_command

PLAIN = (sys.executable, "-m", "workers.engine.child")


def environment(words: str) -> dict[str, str]:
    (device,) = parse(words)
    return environment_of(device, [device], {})


@pytest.mark.parametrize("words", ["", "0", "3", "cpu", "GPU-5a1b2c3d-0000-1111-2222-333344445555"])
def test_one_device_needs_no_launcher(words: str) -> None:
    assert child_command(environment(words)) == PLAIN


def test_accelerate_reads_the_command_as_one_process_a_gpu_with_fsdp() -> None:
    words = child_command(environment("0+2+3"))
    assert words[:3] == (sys.executable, "-m", "accelerate.commands.launch")
    options, _, _ = _validate_launch_command(launch_command_parser().parse_args(words[3:]))
    assert options.use_fsdp
    assert (options.num_processes, options.num_machines, options.fsdp_version) == (3, 1, 2)
    assert (options.module, options.training_script) == (True, "workers.engine.rank")
    assert options.training_script_args == []
    launched = prepare_multi_gpu_env(options)
    assert launched["ACCELERATE_USE_FSDP"] == "true"
    assert launched["FSDP_VERSION"] == "2"
    assert launched["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"
    assert launched["ACCELERATE_MIXED_PRECISION"] == "no"
    assert options.nproc_per_node == "3"
    assert int(options.master_port) > 0


def test_a_configuration_of_ones_own_is_used(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: MULTI_GPU\nnum_processes: 9\n")
    words = child_command({**environment("0+1"), "HOUSESTYLE_ACCELERATE_CONFIG": str(own)})
    options, _, _ = _validate_launch_command(launch_command_parser().parse_args(words[3:]))
    assert options.multi_gpu
    assert not options.use_fsdp
    assert options.num_processes == 2, "as many as the device has GPUs, whatever the file says"


def test_gpus_keep_the_numbers_that_the_worker_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    added = environment("2+3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", added["CUDA_VISIBLE_DEVICES"])
    options, _, _ = _validate_launch_command(launch_command_parser().parse_args(child_command(added)[3:]))
    assert prepare_multi_gpu_env(options)["CUDA_VISIBLE_DEVICES"] == "2,3"
