"""Which engines answer, as HOUSESTYLE_ENGINES names them. Standard library only: the supervisor reads it too.

    HOUSESTYLE_ENGINES="here=embedded:http://127.0.0.1:8801, big=vllm:http://vllm:8000?slots=32"

Commas separate replicas; each is a name, a kind, an address, and for vLLM its `slots`: the number that it was
started with as `--max-loras`. A replica's token is HOUSESTYLE_ENGINE_TOKEN_<NAME>, or else the shared
HOUSESTYLE_ENGINE_TOKEN. Unset, there is one embedded engine at HOUSESTYLE_ENGINE_URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import parse_qs, urlsplit

VARIABLE = "HOUSESTYLE_ENGINES"
TOKEN_VARIABLE = "HOUSESTYLE_ENGINE_TOKEN"  # noqa: S105  # a name, not a token
# A vLLM keeps one slot free and one for the base (see empty_adapter); what is left serves adapters.
KEPT_SLOTS = 2
EXAMPLE = "big=vllm:http://vllm:8000?slots=32"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
_ENTRY = re.compile(r"(?P<name>[^=:]*)=(?P<kind>[^:]*):(?P<address>.+)")


class Kind(StrEnum):
    EMBEDDED = "embedded"
    VLLM = "vllm"


@dataclass(frozen=True)
class Replica:
    """One engine process, or one group of processes that answers at one address.

    `slots` is how many adapters a vLLM holds at once; None where the engine itself decides.
    """

    name: str
    kind: Kind
    url: str
    token: str = field(repr=False)
    slots: int | None = None

    @property
    def places(self) -> int | None:
        """Firms' adapters that may be loaded at once: the slots but the two that are kept."""
        return None if self.slots is None else self.slots - KEPT_SLOTS


class EngineSettingsError(ValueError):
    """`problems` holds one sentence for each thing that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


def parse(words: str, environment: Mapping[str, str], *, shared_token: str = "") -> tuple[Replica, ...]:
    """The replicas that `words` name, none where it is blank. Raises EngineSettingsError with every problem.

    `shared_token` is used for a replica that has no variable of its own.
    """
    problems: list[str] = []
    found: list[Replica] = []
    for entry in (part.strip() for part in words.split(",") if part.strip()):
        replica = _replica(entry, environment, shared_token, problems)
        if replica is None:
            continue
        for what in ("name", "url"):
            if any(getattr(other, what) == getattr(replica, what) for other in found):
                problems.append(
                    f"{VARIABLE} has the {'name' if what == 'name' else 'address'} "
                    f"“{getattr(replica, what)}” twice: give each engine its own."
                )
        found.append(replica)
    if problems:
        raise EngineSettingsError(problems)
    return tuple(found)


def token_variable(name: str) -> str:
    return f"{TOKEN_VARIABLE}_{name.upper().replace('-', '_')}"


def _replica(
    entry: str, environment: Mapping[str, str], shared_token: str, problems: list[str]
) -> Replica | None:
    parts = _ENTRY.fullmatch(entry)
    if parts is None:
        problems.append(
            f"{VARIABLE} says “{_without_secret(entry)}”: write name=kind:address, as in {EXAMPLE}, "
            "and commas between engines."
        )
        return None
    before = len(problems)
    name, kind, address = parts["name"].strip(), parts["kind"].strip(), parts["address"].strip()
    if not _NAME.fullmatch(name):
        problems.append(
            f"{VARIABLE} calls an engine “{name}”: begin with a small letter, and go on with small letters, "
            "digits and -."
        )
    if kind not in tuple(Kind):
        problems.append(f"{VARIABLE} says that {name} is “{kind}”: an engine is {' or '.join(Kind)}.")
    url, slots = _address(name, kind, address, problems)
    token = environment.get(token_variable(name)) or shared_token
    if len(problems) > before:
        return None
    return Replica(name, Kind(kind), url, token, slots)


def _address(name: str, kind: str, address: str, problems: list[str]) -> tuple[str, int | None]:
    """The address without what is said about slots, and those. Appends to `problems`."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is none
        usable = False
    if not usable or parts.username is not None or parts.fragment or parts.path not in ("", "/"):
        problems.append(
            f"{VARIABLE} gives {name} the address “{_without_secret(address)}”: write http:// or https://, a "
            "host and a port, and nothing of a user or a path."
        )
        return "", None
    options = parse_qs(parts.query, keep_blank_values=True)
    said = options.pop("slots", [])
    if options:
        problems.append(f"{VARIABLE} says “{min(options)}” of {name}: only slots can be said of an engine.")
    url = f"{parts.scheme}://{parts.netloc}"
    if kind != Kind.VLLM:
        if said:
            problems.append(
                f"{VARIABLE} gives {name} slots: an embedded engine counts its own, leave them out."
            )
        return url, None
    if len(said) != 1 or not re.fullmatch(r"[0-9]{1,5}", said[0]) or int(said[0]) <= KEPT_SLOTS:
        problems.append(
            f"{VARIABLE} must say how many slots {name} has, {KEPT_SLOTS + 1} or more, as vLLM was told with "
            f"--max-loras: {address.partition('?')[0]}?slots=32."
        )
        return url, None
    return url, int(said[0])


def _without_secret(address: str) -> str:
    """The address as a message may quote it."""
    return re.sub(r"//[^/@]*@", "//…@", address)
