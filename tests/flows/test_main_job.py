"""The main job through HTTP alone, on the real base model: from files to the official openai client."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion
from safetensors import safe_open

from tests.product import Browser, Product

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("product"), pytest.mark.timeout(1800)]

# Enough to learn from and to measure with; a whole demo firm takes minutes a run.
DOCUMENTS, STEPS = 5, 10

Row = dict[str, Any]

PROMPT = (
    "Put the citations of this passage into our house style.\n\n"
    "See Brown v Board of Education, 347 US 483 (1954)."
)


def ready_documents(staff: Browser) -> list[str]:
    listed = staff.api("GET", "documents/")["results"]
    return [staff.wait(f"documents/{row['id']}/", until={"ready", "refused"})["id"] for row in listed]


def train(staff: Browser, documents: list[str], *, steps: int) -> Row:
    """A dataset of these documents and a finished run on it."""
    dataset = staff.api("POST", "datasets/", json={"name": "Briefs", "documents": documents})
    dataset = staff.wait(f"datasets/{dataset['id']}/", until={"ready", "failed"})
    assert dataset["state"] == "ready", dataset
    assert dataset["train_examples"] > 0 and dataset["heldout_examples"] > 0
    run = staff.api(
        "POST",
        "runs/",
        json={
            "dataset": dataset["id"],
            "adapter_name": "briefs",
            "preset": "quick",
            "settings": {"max_steps": steps},
        },
    )
    run = staff.wait(f"runs/{run['id']}/", until={"succeeded", "failed", "errored"})
    assert run["state"] == "succeeded", run
    return dict(run)


def put_live(staff: Browser, approver: Browser, run: Row) -> Row:
    (version,) = [row for row in approver.api("GET", "versions/")["results"] if row["run"] == run["id"]]
    decision = {"version": version["id"], "decision": "approved", "note": "Reads like us."}
    refused = staff.request("POST", "/api/v1/approvals/", json=decision)
    assert refused.status_code == 403
    approver.api("POST", "approvals/", json=decision)
    approver.api("POST", f"versions/{version['id']}/put-live/")
    return dict(version)


def ask(product: Product, key: str, *, stream: bool) -> tuple[str, str, str]:
    """The firm's answer, the model it names, and the adapter header."""
    client = openai.OpenAI(base_url=f"{product.url}/v1", api_key=key, max_retries=0)
    raw = client.chat.completions.with_raw_response.create(
        model="",
        messages=[{"role": "user", "content": PROMPT}],
        max_tokens=40,
        temperature=0,
        stream=stream,
    )
    adapter = raw.headers["X-Housestyle-Adapter"]
    answer = raw.parse()
    if isinstance(answer, ChatCompletion):
        return answer.choices[0].message.content or "", answer.model, adapter
    chunks = list(answer)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    return text, chunks[0].model, adapter


def test_from_documents_to_each_firms_own_answer(product: Product) -> None:
    versions, runs = [], []
    for firm, account in enumerate(product.firms):
        key = account["api_key"]
        client = openai.OpenAI(base_url=f"{product.url}/v1", api_key=key, max_retries=0)
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="", messages=[{"role": "user", "content": "Hello"}])
        assert 400 <= refused.value.status_code < 500
        assert refused.value.code == "no_live_adapter"

        staff, approver = product.browse(firm, "staff"), product.browse(firm, "approver")
        run = train(staff, ready_documents(staff)[:DOCUMENTS], steps=STEPS)
        assert run["heldout_after"] < run["heldout_before"]
        assert 0 < run["trainable_parameters"] < run["frozen_parameters"] * 0.05
        versions.append(put_live(staff, approver, run))
        runs.append(run)

    answers = []
    for account in product.firms:
        text, model, adapter = ask(product, account["api_key"], stream=False)
        streamed, streamed_model, streamed_adapter = ask(product, account["api_key"], stream=True)
        assert streamed == text
        assert model == streamed_model == adapter == streamed_adapter == "briefs@1"
        answers.append(text)
    assert answers[0] != answers[1], "two firms' adapters answered with the same words"

    for version in versions:
        check_files(product, version)

    other = product.browse(1, "staff")
    for path in (f"runs/{runs[0]['id']}/", f"versions/{versions[0]['id']}/"):
        assert other.get(f"/api/v1/{path}").status_code == 404


def check_files(product: Product, version: Row) -> None:
    """The version on disk is what PEFT writes, and is what its SHA-256 says."""
    (folder,) = Path(product.home / "storage" / "adapters").glob(f"*/{version['id']}")
    assert sorted(path.name for path in folder.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "housestyle.json",
    ]
    weights = folder / "adapter_model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == version["sha256"]
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["peft_type"] == "LORA" and config["r"] == 16
    with safe_open(weights, "pt") as file:
        assert any(name.endswith("lora_A.weight") for name in file.keys())  # noqa: SIM118  # not a mapping


def test_a_bad_file_costs_itself_alone(product: Product) -> None:
    staff = product.browse(0, "staff")
    files = [
        ("file", ("empty.pdf", b"")),
        ("file", ("picture.pdf", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)),
        ("file", ("broken.docx", b"PK\x03\x04 this is no archive")),
        ("file", ("good.txt", b"The court held that the motion is denied.\n\nThe appeal was dismissed.\n")),
    ]
    made = staff.api("POST", "documents/", files=files)
    results = made if isinstance(made, list) else made["results"]
    settled = [staff.wait(f"documents/{row['id']}/", until={"ready", "refused"}) for row in results]
    by_name = {row["name"]: row for row in settled}
    assert by_name["good.txt"]["state"] == "ready"
    for name in ("empty.pdf", "picture.pdf", "broken.docx"):
        assert by_name[name]["state"] == "refused"
        assert by_name[name]["reason"].endswith(".")
    staff.api("DELETE", f"documents/{by_name['empty.pdf']['id']}/")
