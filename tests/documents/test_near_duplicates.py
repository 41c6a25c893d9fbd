from __future__ import annotations

import uuid
from collections.abc import Sequence

from tests.conftest import Firm
from tests.factories import ready_document
from tests.tenancy.matters import into_matter, screen_off
from webapp.core.tenancy import tenant_scope
from webapp.documents import selectors, services
from webapp.documents.models import Document
from workers import similarity

WORDS = [f"{first}{second}" for first in "bcdfghklmn" for second in ("arrow", "issue", "ought", "under")]


def text(seed: int, *, changed: Sequence[int] = ()) -> str:
    """400 words of a document of its own; `changed` replaces these sixteenths of it."""
    own = [f"{WORDS[(seed * 7 + at * at) % len(WORDS)]}{seed}x{at}" for at in range(400)]
    for part in changed:
        own[part * 25 : part * 25 + 25] = [f"new{seed}y{part}z{at}" for at in range(25)]
    return " ".join(own)


def read(firm: Firm, words: str) -> Document:
    document = ready_document(firm, text=words)
    signature = similarity.signature(words)
    with tenant_scope(firm.tenant.id):
        services.record_likeness(document=document, signature=signature, bands=similarity.bands(signature))
    return document


def group(document: Document) -> uuid.UUID | None:
    document.refresh_from_db(fields=["near_duplicates"])
    return document.near_duplicates


def test_a_revised_draft_is_grouped_with_the_first(firm: Firm) -> None:
    first, revised = read(firm, text(1)), read(firm, text(1, changed=[15]))
    other = read(firm, text(2))
    with tenant_scope(firm.tenant.id):
        assert group(first) == group(revised) is not None
        assert group(other) is None
        assert list(selectors.near_duplicates(first)) == [revised]
        listed = selectors.count_around(firm.tenant.id, selectors.listed(firm.tenant.id))
        near = {row.id: row.near_count for row in listed}
        assert near == {first.id: 1, revised.id: 1, other.id: 0}


def test_texts_without_words_are_like_nothing(firm: Firm) -> None:
    documents = [read(firm, ""), read(firm, "")]
    with tenant_scope(firm.tenant.id):
        assert [group(document) for document in documents] == [None, None]


def test_a_document_that_links_two_groups_makes_them_one_and_takes_the_link_with_it(firm: Firm) -> None:
    # The bridge shares seven eighths of what it says with either end; they share three quarters.
    left = [read(firm, text(1, changed=[0])), read(firm, text(1, changed=[0]) + " left")]
    right = [read(firm, text(1, changed=[15])), read(firm, text(1, changed=[15]) + " right")]
    with tenant_scope(firm.tenant.id):
        assert group(left[0]) == group(left[1]) != group(right[0]) == group(right[1])
    bridge = read(firm, text(1))
    with tenant_scope(firm.tenant.id):
        assert {group(document) for document in (*left, *right)} == {group(bridge)}
        services.delete(member=firm.alice, document=selectors.document(firm.tenant.id, bridge.id))
        assert group(left[0]) == group(left[1]) is not None
        assert group(right[0]) == group(right[1]) is not None
        assert group(left[0]) != group(right[0])


def test_a_group_of_one_is_none(firm: Firm) -> None:
    first, second = read(firm, text(1)), read(firm, text(1) + " more")
    with tenant_scope(firm.tenant.id):
        services.delete(member=firm.alice, document=selectors.document(firm.tenant.id, second.id))
        assert group(first) is None


def test_a_screened_member_counts_only_what_they_see_and_groups_stay_whole(firm: Firm) -> None:
    hidden = read(firm, text(1))
    into_matter(firm)
    screen_off(firm, firm.alice)
    seen, gone = read(firm, text(1) + " more"), read(firm, text(1) + " less")
    with tenant_scope(firm.tenant.id, viewer=firm.alice.id):
        assert list(selectors.near_duplicates(selectors.document(firm.tenant.id, seen.id))) == [gone]
        services.delete(member=firm.alice, document=selectors.document(firm.tenant.id, gone.id))
        assert not selectors.near_duplicates(selectors.document(firm.tenant.id, seen.id)).exists()
    with tenant_scope(firm.tenant.id, viewer=firm.bob.id):
        assert group(hidden) == group(seen) is not None


def test_other_firms_documents_are_never_compared(firm: Firm, other_firm: Firm) -> None:
    ours, theirs = read(firm, text(1)), read(other_firm, text(1))
    with tenant_scope(firm.tenant.id):
        assert group(ours) is None
    with tenant_scope(other_firm.tenant.id):
        assert group(theirs) is None
