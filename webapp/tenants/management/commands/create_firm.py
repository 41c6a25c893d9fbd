import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from webapp.core.errors import AppError
from webapp.core.tenancy import tenant_scope
from webapp.tenants import services
from webapp.tenants.models import Role, User


class Command(BaseCommand):
    help = "Make a firm and its first admin, who adds the other people in the browser."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("admin_email")

    def handle(self, *args: Any, **options: Any) -> None:
        email, password = options["admin_email"], secrets.token_urlsafe(12)
        if User.objects.filter(email__iexact=email).exists():
            raise CommandError("Somebody already signs in with this e-mail address.")
        try:
            with transaction.atomic():
                tenant = services.create_firm(name=options["name"])
                with tenant_scope(tenant.id):
                    services.add_member(
                        tenant_id=tenant.id,
                        by=None,
                        email=email,
                        name="",
                        role=Role.ADMIN,
                        password=password,
                    )
        except AppError as error:
            raise CommandError(" ".join([error.message, *error.fields.values()])) from None
        self.stdout.write(f"{tenant.name} is ready: {email} signs in with {password}")
