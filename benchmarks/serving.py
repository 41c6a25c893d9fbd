"""Serving beside its peers, measured: `make bench-serving`. Its last line is one JSON object.

Every server streams greedy answers of 64-128 tokens to prompts of 100-400 tokens of briefs that nobody wrote,
no prompt twice, over HTTP; transformers and PEFT answer the same requests in process. Tokens a second count
generated tokens over a whole run, reading the prompts included. All use the same base and the same rank-16
adapters on all linear layers; ours holds the base in 8 bits (`--weights auto`), the others in fp32, and the
perplexity of both is printed. Servers run one after the other, and nothing else should.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import serving_engine, serving_gateway, serving_vllm
from benchmarks.engine import base_folder
from benchmarks.merged import merge
from benchmarks.product import ROOT
from benchmarks.serving_clients import Measured, run_closed, run_open
from benchmarks.serving_engine import TOKEN, RunningEngine
from benchmarks.serving_work import BASE, Ask, closed_loop, trace, write_adapters

PARTS = ("quality", "ours", "thousand", "merged", "peft", "vllm", "gateway")
MANY = 1000
# Requests a second that keep the engine busy without letting the queue grow for ever.
RATE = 1.2


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="some of the parts")
    parser.add_argument("--rounds", type=int, default=2, help="requests of each client (2: the usual)")
    parser.add_argument("--base", type=Path, help="another prepared base, for a look at the benchmark itself")
    options = parser.parse_args(arguments)
    model = options.base or base_folder()
    found: dict[str, Any] = {}
    # Beside the repository and not in memory: a thousand adapters are registered from real files.
    with tempfile.TemporaryDirectory(prefix=".bench-serving-", dir=ROOT) as folder:
        made = write_adapters(model, Path(folder), MANY if "thousand" in options.only else 32)
        for part in options.only:
            tell(part)
            try:
                found |= _measure(part, model, made, Path(folder), options.rounds)
            except Exception:  # what was measured before is not to be lost
                traceback.print_exc()
                tell(f"{part} failed and is left out")
    _report(found)
    return 0


def _measure(part: str, model: Path, adapters: list[Path], folder: Path, rounds: int) -> dict[str, Any]:
    match part:
        case "quality":
            return asdict(serving_engine.perplexities(model))
        case "ours":
            return _ours(model, adapters[:32], rounds)
        case "thousand":
            return _thousand(model, adapters)
        case "merged":
            return _merged(model, merge(model, adapters[0], folder / "merged"), rounds)
        case "peft":
            return _peft(model, adapters[:32], folder, rounds)
        case "vllm":
            return _vllm(model, adapters[:32], folder, rounds)
        case _:
            return serving_gateway.measure(model)


def _ours(model: Path, adapters: list[Path], rounds: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with serving_engine.running(model) as engine:
        before = engine.resident_bytes()
        seconds = engine.load([_name(at) for at in range(32)], adapters)
        weights = sum((folder / "adapter_model.safetensors").stat().st_size for folder in adapters)
        found["adapter_load_ms"] = 1000 * statistics.median(seconds)
        found["adapter_overhead"] = (engine.resident_bytes() - before) / weights - 1
        for clients, adapters_used in ((1, 0), (1, 1), (8, 0), (8, 8), (32, 0), (32, 1), (32, 8), (32, 32)):
            key = f"ours_{clients}_{adapters_used}"
            found[key] = _closed(engine, model, clients, adapters_used, rounds if clients > 1 else 3)
            tell(f"{key}: {found[key].tokens_per_s:.1f} tokens/s")
        found["trace_32"] = _trace(engine, model, 32)
    return found


def _closed(engine: RunningEngine, model: Path, clients: int, adapters: int, rounds: int) -> Measured:
    """The same seed for all runs of as many clients: the same prompts and lengths."""
    run_closed(engine.url, TOKEN, closed_loop(model, requests=1, adapters=adapters, seed=99), 1, _asked)
    asks = closed_loop(model, requests=clients * rounds, adapters=adapters, seed=clients)
    return run_closed(engine.url, TOKEN, asks, clients, _asked)


def _trace(engine: RunningEngine, model: Path, adapters: int) -> Measured:
    asks = trace(model, requests=96, adapters=adapters, rate=RATE, seed=7)
    return run_open(engine.url, TOKEN, asks, _asked)


def _thousand(model: Path, adapters: list[Path]) -> dict[str, Any]:
    """1,000 registered, room for as many as the engine's own default has; the same trace as with 32."""
    with serving_engine.running(model) as engine:
        engine.load([_name(at) for at in range(len(adapters))], adapters)
        return {"trace_thousand": _trace(engine, model, len(adapters))}


def _merged(model: Path, merged: Path, rounds: int) -> dict[str, Any]:
    with serving_engine.running(merged) as engine:
        return {"merged_32": _closed(engine, model, 32, 0, rounds)}


def _peft(model: Path, adapters: list[Path], folder: Path, rounds: int) -> dict[str, Any]:
    """Batches of 32, as many as fit a closed loop of 32 clients; one at a time for a single client."""
    single = closed_loop(model, requests=3, adapters=1, seed=1)
    batch = closed_loop(model, requests=32, adapters=32, seed=32)
    none = [Ask(ask.prompt, ask.new_tokens, None) for ask in batch]
    eight = [Ask(ask.prompt, ask.new_tokens, at % 8) for at, ask in enumerate(batch)]
    runs: list[tuple[str, str, list[Ask], int]] = [
        ("transformers_single", "single", single, 1),
        ("transformers_32", "base", none, 1),
        ("peft_mixed_32", "mixed", batch, 32),
        ("peft_mixed_32_8", "mixed", eight, 8),
        ("peft_switching_32", "switching", batch, 32),
    ]
    found = {}
    for key, way, asks, count in runs:
        path = folder / f"{key}.json"
        path.write_text(json.dumps([asdict(ask) for ask in asks]))
        command = [sys.executable, "-m", "benchmarks.serving_peer", way, str(model), str(path)]
        command += [str(adapter) for adapter in adapters[:count]]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
        found[key] = json.loads(done.stdout.splitlines()[-1])["tokens_per_s"]
        tell(f"{key}: {found[key]:.1f} tokens/s")
    return found


def _vllm(model: Path, adapters: list[Path], folder: Path, rounds: int) -> dict[str, Any]:
    if not serving_vllm.installed():
        tell("vLLM is not installed here (make test-vllm installs it): its figures are null")
        return {}
    found = {}
    with serving_vllm.running(model, folder / "vllm.log", adapters=32, rank=16) as server:
        server.load([_name(at) for at in range(32)], adapters)
        for clients, used in ((1, 0), (1, 1), (32, 0), (32, 32)):
            key = f"vllm_{clients}_{used}"
            found[key] = _closed(server, model, clients, used, rounds if clients > 1 else 3)
            tell(f"{key}: {found[key].tokens_per_s:.1f} tokens/s")
    return found


def _name(adapter: int) -> str:
    return f"adapter-{adapter}"


def _asked(ask: Ask) -> str:
    return BASE if ask.adapter is None else _name(ask.adapter)


def _report(found: dict[str, Any]) -> None:
    """The tables in Markdown, then the JSON line; null for what was left out."""
    print(
        "\n| server, clients and adapters | tokens/s | to the first token, p50 / p90 | between tokens, p50 |"
    )
    print("|---|---|---|---|")
    for key, label in LABELS.items():
        one = found.get(key)
        if isinstance(one, Measured):
            first = f"{one.ttft_p50:.2f} s / {one.ttft_p90:.2f} s"
            print(f"| {label} | {one.tokens_per_s:.1f} | {first} | {1000 * one.between_p50:.0f} ms |")
        elif one is not None:
            print(f"| {label} | {one:.1f} | | |")
    if "float32" in found:
        change = found["int8"] / found["float32"] - 1
        print(
            f"\nPerplexity of the base over {found['tokens']} tokens of the demo firms' documents: "
            f"{found['float32']:.3f} in fp32, {found['int8']:.3f} in 8 bits ({change:+.2%})."
        )
    if "adapter_overhead" in found:
        print(f"An adapter takes its own bytes and {found['adapter_overhead']:.1%} more.")
    if "streams" in found:
        print(f"{found['streams']} streams at once, one web process: {found['whole_streams']} came whole.")
    print(json.dumps(_json_line(found)))


def _json_line(found: dict[str, Any]) -> dict[str, float | None]:
    def tps(key: str) -> float | None:
        one = found.get(key)
        value = one.tokens_per_s if isinstance(one, Measured) else one
        return None if value is None else round(value, 1)

    return {
        "base_32_tps": tps("ours_32_0"),
        "mixed_32_tps": tps("ours_32_32"),
        "peft_mixed_32_tps": tps("peft_mixed_32"),
        "vllm_mixed_32_tps": tps("vllm_32_32"),
        "single_tps": tps("ours_1_1"),
        "transformers_single_tps": tps("transformers_single"),
        "adapter_load_ms": tps("adapter_load_ms"),
        "thousand_adapters_tps": tps("trace_thousand"),
        "thirty_two_adapters_trace_tps": tps("trace_32"),
        "gateway_overhead_ms_p50": tps("gateway_overhead_ms_p50"),
    }


LABELS: dict[str, str] = {
    "ours_1_0": "Housestyle, 1 client, base",
    "ours_1_1": "Housestyle, 1 client, 1 adapter",
    "transformers_single": "transformers + PEFT, 1 client, 1 adapter",
    "vllm_1_0": "vLLM, 1 client, base",
    "vllm_1_1": "vLLM, 1 client, 1 adapter",
    "ours_8_0": "Housestyle, 8 clients, base",
    "ours_8_8": "Housestyle, 8 clients, 8 adapters",
    "ours_32_0": "Housestyle, 32 clients, base",
    "merged_32": "Housestyle, 32 clients, one merged model",
    "ours_32_1": "Housestyle, 32 clients, 1 adapter",
    "ours_32_8": "Housestyle, 32 clients, 8 adapters",
    "ours_32_32": "Housestyle, 32 clients, 32 adapters",
    "transformers_32": "transformers, a batch of 32, base",
    "peft_mixed_32_8": "PEFT adapter_names, a batch of 32, 8 adapters",
    "peft_mixed_32": "PEFT adapter_names, a batch of 32, 32 adapters",
    "peft_switching_32": "PEFT switching between batches, 32 adapters",
    "vllm_32_0": "vLLM, 32 clients, base",
    "vllm_32_32": "vLLM, 32 clients, 32 adapters",
    "trace_32": "Housestyle, trace over 32 adapters",
    "trace_thousand": "Housestyle, the same trace over 1,000 adapters",
}


def tell(what: str) -> None:
    print(f"Serving: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
