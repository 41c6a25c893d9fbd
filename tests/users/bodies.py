"""Bodies of requests that nobody would send on purpose, and some that an attacker would."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)

TEXTS = st.text(max_size=30) | st.sampled_from(
    [
        "",
        " ",
        "\x00",
        "\u2028",
        "<|im_end|>",
        "<|im_start|>system\n",
        "é" * 100,
        "word " * 3000,
        "\ufffd",
        "𝔘",
    ]
)
TOKENS = st.lists(st.integers(0, 49_151), max_size=5) | st.sampled_from(
    [[], [0], [49_152], [2**31 - 1], [2**31], [-1], [1.5], [True], [5] * 2047, [5] * 2048]
)
PROMPTS = TEXTS | TOKENS | st.lists(TEXTS, max_size=3) | st.lists(TOKENS, max_size=3) | JSON
PARTS = st.fixed_dictionaries({"type": st.sampled_from(["text", "image_url"]), "text": TEXTS})
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "", None]),
        "content": TEXTS | st.lists(PARTS, max_size=3) | JSON,
    },
    optional={"name": JSON, "tool_calls": JSON},
)
MESSAGES = st.lists(MESSAGE, max_size=4) | JSON

SCHEMAS: list[Any] = [
    {},
    True,
    {"type": "nonsense"},
    {"$ref": "#"},
    {"$ref": "#/nowhere"},
    {"$ref": "http://127.0.0.1:9/schema"},
    {"$ref": "file:///etc/passwd"},
    {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
    {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]},
    {"type": "string", "pattern": "^(a+)+$"},
    {"type": "string", "pattern": "("},
    {"type": "string", "pattern": "(?=a)b"},
    {"type": "string", "pattern": "(a{1000}){1000}"},
    {"type": "string", "maxLength": -1},
    {"type": "string", "minLength": 5, "maxLength": 1},
    {"type": "string", "minLength": 10**18},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "nonsense"},
    {"type": "array", "minItems": 10**9},
    {"type": "array", "items": {"type": "array", "minItems": 1000, "items": {"minItems": 1000}}},
    {"type": "integer", "minimum": 10**40, "maximum": 10**41},
    {"type": "integer", "minimum": 2, "maximum": 1},
    {"type": "number", "multipleOf": 1e-300},
    {"type": "number", "multipleOf": 0},
    {"enum": []},
    {"enum": [None, 1.5, {"a": [1]}, "\ud83d\ude00"]},
    {"const": "x" * 10_000},
    {"anyOf": []},
    {"allOf": [{"type": "string"}, {"type": "integer"}]},
    {"not": {}},
    {"type": "object", "properties": {"a": False}, "required": ["a"]},
    {"type": "object", "patternProperties": {"[": {}}},
    {"type": "object", "required": [str(number) for number in range(500)]},
    {"properties": "nonsense"},
    {"type": ["string", "null", 7]},
]
SCHEMA = st.sampled_from(SCHEMAS) | st.dictionaries(st.text(max_size=8), JSON, max_size=3)
FORMAT = st.one_of(
    st.sampled_from([{"type": "text"}, {"type": "json_object"}, {"type": "json_schema"}, {"type": None}]),
    SCHEMA.map(lambda schema: {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}),
)

NUMBERS = st.sampled_from(
    [0, 0.0, -0.0, 1e-300, 5e-324, 0.5, 1, 1.0, 2, -2, 100, 1e308, -1, 2**53, 2**63, 10**40]
)
WHOLE = st.sampled_from([-1, 0, 1, 2, 8, 9, 20, 21, 10**6, 2**31, -(2**63), 2**63 - 1, 2**63, 10**40])
FEW = st.sampled_from([-1, 0, 1, 2, 3, 8, 9, 10**6, 1.0])

SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(["temperature", "top_p", "min_p", "repetition_penalty"], NUMBERS),
    **dict.fromkeys(["presence_penalty", "frequency_penalty"], NUMBERS),
    **dict.fromkeys(["top_k", "seed", "top_logprobs"], WHOLE),
    "n": FEW,
    "best_of": FEW,
    "logprobs": st.booleans() | WHOLE,
    "echo": st.booleans(),
    "stream": st.booleans(),
    "stream_options": st.sampled_from([{}, {"include_usage": True}, {"include_usage": 1}, {"other": True}]),
    "stop": TEXTS | st.lists(TEXTS, max_size=4) | st.just(["x"] * 17),
    "logit_bias": st.dictionaries(
        st.sampled_from(["0", "49151", "49152", "999999999", "٣", "-1", "1e3", " 1", ""]), NUMBERS, max_size=3
    ),
    "response_format": FORMAT,
    "model": TEXTS
    | st.sampled_from(["briefs", "briefs@1", "briefs@2", "briefs@", "base", "live", "a" * 5000]),
    "user": TEXTS,
    "chat_template": st.just("{{ cycler.__init__.__globals__ }}"),
    "tools": JSON,
    "cache_salt": TEXTS,
}
# Never null or left out: the model would write on until its context is full.
LIMITS = st.sampled_from([*[1, 2, 3, 4] * 6, 0, -1, 1.5, "4", True, 2**31, 10**40])


@st.composite
def bodies(draw: st.DrawFn, route: str) -> dict[str, Any]:
    """A body that is right but for a few of its fields, which may be right too."""
    asked, good, any_of = (
        ("messages", [{"role": "user", "content": "The court"}], MESSAGES)
        if route == "chat/completions"
        else ("prompt", "The court", PROMPTS)
    )
    body: dict[str, Any] = {"model": "", asked: good, "max_tokens": draw(LIMITS)}
    if draw(st.integers(0, 2)) == 0:
        body[asked] = draw(any_of)
    for name in draw(st.lists(st.sampled_from(sorted(SETTINGS)), max_size=3, unique=True)):
        body[name] = draw(JSON if draw(st.integers(0, 5)) == 0 else SETTINGS[name])
    if draw(st.integers(0, 9)) == 0:
        body |= draw(st.dictionaries(st.text(max_size=12), JSON, max_size=1))
    return body


RAW: list[bytes] = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b"{",
    b"{}",
    b'{"prompt": "x", "messages": "x"}',
    b"[" * 100_000,
    b'{"messages":' * 50_000,
    b'{"max_tokens": ' + b"9" * 10_000 + b"}",
    b'{"temperature": NaN, "prompt": "x"}',
    b'{"temperature": 1e999, "prompt": "x", "messages": []}',
    b'{"prompt": "\\ud800", "messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"\\udfff": 1, "prompt": "x"}',
    b'\xef\xbb\xbf{"prompt": "x"}',
    '{"prompt": "x"}'.encode("utf-16"),
    b'{"prompt": "\xff"}',
    b'{"prompt": "\x00"}',
    b'{"prompt": "' + b"x" * 12_000_000 + b'"}',
]
