"""One file per kind of job: an id in, one call, the end recorded in one place (`run_job`)."""
