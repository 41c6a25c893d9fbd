"""LoRA training: knows models, tokens and files, and nothing of firms, jobs or the web."""
