"""Asks through LangChain's ChatOpenAI; run by its own Python, so it imports nothing of the project.

`python langchain_client.py URL KEY PROMPT…` prints one line of JSON with what it was told. The first prompt
is asked in every way, all of them are asked as a batch.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Literal

import openai
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Citation(BaseModel):
    """Each field can take few values, so that the answer ends whatever the model likes to say."""

    court: Literal["Supreme Court", "Court of Appeals"]
    overruled: bool


def main(url: str, key: str, prompts: list[str]) -> None:
    settings: dict[str, Any] = {"base_url": url, "api_key": key, "max_retries": 0, "max_tokens": 12}
    chat = ChatOpenAI(model="briefs", temperature=0, stream_usage=True, **settings)
    whole = chat.invoke(prompts[0])
    system = chat.invoke([("system", "You edit briefs."), ("human", prompts[0])])
    chunks = list(chat.stream([("system", "You edit briefs."), ("human", prompts[0])]))
    said = {
        "invoke": whole.content,
        "model": whole.response_metadata["model_name"],
        "usage": whole.usage_metadata,
        "system": system.content,
        "system_usage": system.usage_metadata,
        "stream": [chunk.content for chunk in chunks],
        "stream_usage": [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata],
        "batch": [answer.content for answer in chat.batch(prompts)],
        "async": asyncio.run(chat.ainvoke(prompts[0])).content,
        "structured": structured(settings, prompts[0]),
        "refused": refused(settings),
    }
    print(json.dumps(said))


def structured(settings: dict[str, Any], prompt: str) -> dict[str, Any]:
    chat = ChatOpenAI(model="briefs", seed=1, **{**settings, "max_tokens": 200})
    found = chat.with_structured_output(Citation, method="json_schema").invoke(prompt)
    assert isinstance(found, Citation)
    return found.model_dump()


def refused(settings: dict[str, Any]) -> str:
    try:
        ChatOpenAI(model="letters", **settings).invoke("The court")
    except openai.NotFoundError as error:
        return str(error.code)
    return "answered"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
