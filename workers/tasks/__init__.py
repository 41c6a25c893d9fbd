"""One file per kind of job: an id in, one call, the end recorded in one place (`run_job`)."""

from workers.tasks import build_dataset, extract_document, relay, train_adapter

__all__ = ["build_dataset", "extract_document", "relay", "train_adapter"]
