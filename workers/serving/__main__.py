"""`python -m workers.serving --host 127.0.0.1 --port 8801 --model <folder>`: the engine as a process.

The token comes from HOUSESTYLE_ENGINE_TOKEN, never from the command line, where other users could read it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from pathlib import Path

# OpenMP's threads wait for one another by spinning, for milliseconds: beside a training run, which has the
# other one's core, a step would take ten times as long. It is read when torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch
import uvicorn

from workers.serving.engine import BASE_NAME, Engine, EngineOptions
from workers.serving.errors import StartError
from workers.serving.server import create_app
from workers.serving.sizing import at_least_one, memory_size, sentence

_GRACE = 5  # seconds that open connections have to end after a stop signal


def main(arguments: list[str] | None = None) -> int:
    """Serve until a signal comes. Returns 0, or 1 if the engine could not start or broke."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    options = _parse(arguments)
    try:
        return _serve(options)
    except StartError as error:
        print(error, file=sys.stderr)
        return 1


def _serve(options: argparse.Namespace) -> int:
    token = os.environ.get("HOUSESTYLE_ENGINE_TOKEN", "")
    if not token:
        raise StartError("The engine needs a token: set HOUSESTYLE_ENGINE_TOKEN to a long random text.")
    listening = _listen(options.host, options.port)  # first: a taken port shows before seconds of reading
    torch.set_num_threads(options.threads)
    server: uvicorn.Server | None = None

    def stop_serving() -> None:
        if server is not None:
            server.should_exit = True

    engine = Engine(
        EngineOptions(
            model=options.model,
            adapters_root=options.adapters_root,
            max_model_len=options.max_model_len,
            max_loras=options.max_loras,
            lora_memory=options.lora_memory,
            max_num_seqs=options.max_num_seqs,
            max_waiting=options.max_waiting,
            kv_cache_tokens=options.kv_cache_tokens,
            kv_cache_memory=options.kv_cache_memory,
            step_tokens=options.step_tokens,
            weights=options.weights,
        ),
        on_broken=stop_serving,
    )
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(engine, token),
            log_level="warning",
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE,
        )
    )
    # uvicorn ends its serving on these, then passes them on: what is left is to end well, not to be killed.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda number, frame: None)
    engine.scheduler.start()
    host, port = listening.getsockname()[:2]
    print(
        f"Engine ready at http://{host}:{port} (model {BASE_NAME}, context {engine.context} tokens).\n"
        f"{sentence(engine.kv_budget)}. Requests that are answered at once: up to {options.max_num_seqs}; "
        f"that wait for it: up to {options.max_waiting}.",
        flush=True,
    )
    server.run(sockets=[listening])
    broken = not engine.scheduler.healthy
    engine.scheduler.stop()
    if broken:
        raise StartError(
            "The engine broke and has stopped: its log says where, and starting it again is safe."
        )
    return 0


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=128)
    except OSError:
        raise StartError(
            f"Port {port} of {host} can't be used: stop what uses it, or choose another with --port."
        ) from None


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m workers.serving", description="Housestyle's inference engine."
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8801, help="0 takes any free one and prints it")
    parser.add_argument("--model", type=Path, required=True, help="folder of the prepared base model")
    parser.add_argument("--adapters-root", type=Path, help="adapters are loaded from inside this folder only")
    parser.add_argument("--max-model-len", type=int, help="tokens of prompt and answer together")
    parser.add_argument("--max-loras", type=int, default=4096, help="adapters known at once")
    parser.add_argument(
        "--lora-memory",
        type=memory_size,
        default=2**30,
        help="for adapters in memory, such as 2GiB (default 1GiB); others are read when they are asked for",
    )
    parser.add_argument(
        "--max-num-seqs", type=at_least_one, default=32, help="requests that are answered at once"
    )
    parser.add_argument(
        "--max-waiting",
        type=at_least_one,
        default=512,
        help="requests that wait for their turn, one firm's at most half of them; more are refused",
    )
    remembered = parser.add_mutually_exclusive_group()
    remembered.add_argument("--kv-cache-tokens", type=at_least_one, help="tokens remembered by all requests")
    remembered.add_argument(
        "--kv-cache-memory",
        type=memory_size,
        help="the same as memory, such as 6GiB (default: what --max-num-seqs can need, up to a quarter of "
        "the machine's)",
    )
    parser.add_argument(
        "--step-tokens", type=at_least_one, default=256, help="tokens that one step reads at most"
    )
    parser.add_argument(
        "--weights",
        choices=["auto", "float32", "int8"],
        default="auto",
        help="how the base is kept: in 8 bits where the machine multiplies them (auto), or as said",
    )
    parser.add_argument(
        "--threads", type=int, default=torch.get_num_threads(), help="CPU threads for arithmetic"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
