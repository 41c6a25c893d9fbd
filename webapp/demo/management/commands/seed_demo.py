from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from webapp.demo import services


class Command(BaseCommand):
    help = "Make the two demo firms and write their accounts to demo.json in HOUSESTYLE_HOME."

    def handle(self, *args: Any, **options: Any) -> None:
        services.seed(url=settings.PUBLIC_URL, accounts=settings.HOME / "demo.json", say=self.stdout.write)
