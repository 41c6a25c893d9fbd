from webapp.core.jobs.models import Job

__all__ = ["Job"]
