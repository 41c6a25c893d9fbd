"""What one of several processes does in a test: `torchrun … -m tests.engine.together <base> <folder>`.

It writes what it found to `<folder>/<rank>.safetensors` and `<folder>/<rank>.json`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from tests.engine.data import citation_lines
from tests.engine.learners import fill, nothing, take_gradients
from webapp.training.spec import TrainingSpec
from workers.engine.examples import encode
from workers.engine.general.sharded import ShardedBase
from workers.engine.ranks import Ranks

EXAMPLES = 7  # no multiple of anything
SPEC = {"rank": 4, "alpha": 8.0, "batch_tokens": 64}


def main(folder: Path, out: Path) -> None:
    ranks = Ranks.join()
    base = ShardedBase.load_for(ranks, folder, "fp32", "auto")
    examples = encode(base, list(citation_lines(EXAMPLES)), 512).train
    learner = base.learner(TrainingSpec.parse(SPEC))
    fill(learner)
    frozen = sum(_own_elements(parameter) for parameter in learner._model.base_model.layers.parameters())
    before = learner.heldout_loss(examples, nothing)
    found = {
        "ranks": ranks.count,
        "agreed": ranks.agree(f"said by {ranks.rank}"),
        "turns": len(learner._turns(examples)),
        "counting": sum(counts for _, counts in learner._turns(examples)),
        "frozen": frozen - sum(parameter.numel() for parameter in learner.parameters()),
        "heldout": before,
        "loss": learner.learn(examples, 1),
    }
    save_file(take_gradients(learner), out / f"{ranks.rank}.safetensors")
    # A second adapter of the same base: what the first one was made of is whole again.
    again = base.learner(TrainingSpec.parse(SPEC))
    fill(again)
    found["again"] = again.heldout_loss(examples[:1], nothing)
    (out / f"{ranks.rank}.json").write_text(json.dumps(found))


def _own_elements(parameter) -> int:  # type: ignore[no-untyped-def]  # Tensor or DTensor
    return int(parameter.to_local().numel() if hasattr(parameter, "to_local") else parameter.numel())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
