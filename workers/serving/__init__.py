"""The inference engine: one frozen base model in memory, many LoRA adapters, vLLM's protocol over HTTP."""
