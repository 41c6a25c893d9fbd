"""The options that docker-compose gives to vLLM, read by vLLM's own parser."""

from __future__ import annotations

import json
import os
import subprocess

import pytest
import yaml

from benchmarks.vllm_server import ENVIRONMENT, environment
from tests.models import ROOT

pytestmark = [
    pytest.mark.xdist_group("engines"),
    pytest.mark.skipif(not os.environ.get("HOUSESTYLE_TEST_VLLM"), reason="make test-vllm has a vLLM to ask"),
]

PROGRAM = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
options = make_arg_parser(FlexibleArgumentParser()).parse_args(["--model", *sys.argv[1:]])
names = json.loads(sys.stdin.read())
print(json.dumps({name: getattr(options, name) for name in names}))
"""


def test_vllm_understands_what_compose_says() -> None:
    words = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["vllm"]["command"]
    expected = {
        "served_model_name": ["base"],
        "max_loras": 32,
        "max_cpu_loras": 32,
        "max_lora_rank": 64,
        "fully_sharded_loras": True,
        "tensor_parallel_size": 2,
        "quantization": "fp8",
    }
    done = subprocess.run(
        [str(ENVIRONMENT / "bin" / "python"), "-c", PROGRAM, *words],
        input=json.dumps(list(expected)),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == expected
