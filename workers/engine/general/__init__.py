"""Training through transformers and PEFT: every architecture they know, slower than the fast path."""
