from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower

from webapp.core.tenancy import TenantOwned


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str, *, name: str = "") -> User:
        user = self.model(email=self.normalize_email(email).lower(), name=name)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person, signed in by e-mail. What they may do hangs on their membership, never on the user itself."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    joined_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_any_case")]

    def __str__(self) -> str:
        return self.name or self.email


class Tenant(models.Model):
    """A firm. `wrapped_key` is its own encryption key under the installation's master key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=200)
    wrapped_key = models.BinaryField(editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    STAFF = "staff", "Staff"
    APPROVER = "approver", "Approver"
    ADMIN = "admin", "Firm admin"
    AUDITOR = "auditor", "Auditor"


class Membership(TenantOwned):
    """A person's place in a firm. One firm per person."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="membership")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(role__in=Role.values), name="role_known")]

    def __str__(self) -> str:
        return f"{self.user} ({self.get_role_display()})"

    @property
    def label(self) -> str:
        """How the audit log names this person."""
        return self.user.email


class Matter(TenantOwned):
    """A client's matter: it groups documents inside a firm. Every firm has one “General” for the rest."""

    name = models.CharField(max_length=200)
    client = models.CharField(max_length=200, blank=True)
    number = models.CharField(max_length=60, blank=True, help_text="The firm's client-matter number.")
    is_general = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-is_general", "client", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "number"], condition=~models.Q(number=""), name="matter_number_once"
            ),
            models.UniqueConstraint(
                fields=["tenant"], condition=models.Q(is_general=True), name="one_general_matter"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.name}".strip()


class Screen(TenantOwned):
    """An ethical wall: this member sees nothing of this matter, nor of anything made from it, whatever their
    role (ABA Model Rules 1.9 and 1.10)."""

    matter = models.ForeignKey(Matter, on_delete=models.CASCADE, related_name="screens")
    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="screens")
    reason = models.TextField(blank=True)
    set_by = models.ForeignKey(Membership, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    lifted_by = models.ForeignKey(Membership, on_delete=models.PROTECT, null=True, related_name="+")
    lifted_at = models.DateTimeField(null=True, help_text="It counts until then; the row stays as evidence.")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["matter", "member"],
                condition=models.Q(lifted_at=None),
                name="screened_once",
            )
        ]


class Scope(models.TextChoices):
    """What a key opens. Whatever it opens, its program may do no more there than the key's member."""

    COMPLETIONS = "completions", "Ask your firm's adapters for text (/v1, for OpenAI's clients)"
    READ = "read", "Read documents, datasets, runs and adapters (/api/v1)"
    WRITE = "write", "Add and change them (/api/v1)"


def every_scope() -> list[str]:
    return list(Scope.values)


class ApiKey(TenantOwned):
    """A program's way in. It acts as the member who made it; only its SHA-256 is kept."""

    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=12)
    key_hash = models.CharField(max_length=64, unique=True)
    member = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="api_keys")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope.choices), default=every_scope)
    expires_at = models.DateTimeField(null=True, help_text="From then on it opens nothing.")
    replaces = models.OneToOneField(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        related_name="replaced_by",
        help_text="The key that this one was made for by rotation; the two overlap for a while.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(scopes__contained_by=Scope.values) & ~models.Q(scopes=[]),
                name="key_scopes_known",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def save(self, *args: Any, **kwargs: Any) -> None:
        assert self.member.tenant_id == self.tenant_id, "a key belongs to its member's firm"
        super().save(*args, **kwargs)

    def opens_at(self, moment: datetime) -> bool:
        """Whether it is neither revoked nor expired at `moment`."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > moment)

    @property
    def lifetime(self) -> timedelta | None:
        """How long it was made for; None for a key that lasts until it is revoked."""
        return self.expires_at - self.created_at if self.expires_at else None
