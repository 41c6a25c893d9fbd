"""Archives, checked before anything in them is unpacked: Word files, spreadsheets and plain ZIPs alike."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable

from workers.extraction.result import ExtractionRefused, Limits

MAX_MEMBERS = 5000
MAX_RATIO = 200  # unpacked bytes to packed; a real body of a Word file has 5 to 30
SMALL = 2**20  # bytes that no ratio is asked of

# What a damaged archive makes zipfile raise, at its opening or in the middle of a member. RuntimeError is a
# member that wants a password, where the archive's list did not say so.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError, OSError, RuntimeError)


def check(archive: zipfile.ZipFile, limits: Limits, bomb: Callable[[], ExtractionRefused]) -> None:
    """Raise `bomb()` unless the archive's own list proves harmless. Nothing is unpacked here."""
    members = sorted(archive.infolist(), key=lambda member: member.header_offset)
    if len(members) > MAX_MEMBERS or sum(member.file_size for member in members) > limits.unpacked_bytes:
        raise bomb()
    ends = [member.header_offset for member in members[1:]] + [archive.start_dir]
    for member, end in zip(members, ends, strict=True):
        # 30 bytes are the least a member's own header takes. Members that overlap share their bytes, which is
        # how a small file unpacks without bound (Fifield 2019); Python below 3.11.8 does not look.
        if member.header_offset + 30 + member.compress_size > end:
            raise bomb()
        if member.file_size > SMALL and member.file_size > MAX_RATIO * member.compress_size:
            raise bomb()
