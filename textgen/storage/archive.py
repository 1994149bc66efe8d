"""The plain zip archive that a model file is: stored members, nothing else.

Only the form that `pack` writes is read. Each header must be byte for byte the one that
`pack` would have written, and members and directory must fill the file without a gap. So
there is nothing to inflate, no two readers can disagree on what a file holds, and sizes
are checked against the file itself before anything is allocated.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import BinaryIO
from zlib import crc32

from textgen.storage.schema import Refused

# Beyond this a zip archive needs its 64-bit extension.
MAX_BYTES = (1 << 31) - 1
MAX_MEMBERS = 16
MAX_NAME = 100

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_MAX_DIRECTORY = MAX_MEMBERS * (_CENTRAL.size + MAX_NAME)
_VERSION = 20
_MADE_BY = 3 << 8 | _VERSION  # Unix, zip 2.0
_MIDNIGHT, _1980 = 0, 1 << 5 | 1
_READABLE = 0o100644 << 16
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*", re.ASCII)
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Member:
    """Where a member's bytes lie in the file, and their CRC-32."""

    start: int
    size: int
    crc: int


def _local_header(name: bytes, crc: int, size: int) -> bytes:
    fields = (_VERSION, 0, 0, _MIDNIGHT, _1980, crc, size, size, len(name), 0)
    return _LOCAL.pack(b"PK\3\4", *fields) + name


def _central_header(name: bytes, crc: int, size: int, offset: int) -> bytes:
    fields = (_MADE_BY, _VERSION, 0, 0, _MIDNIGHT, _1980, crc, size, size, len(name))
    return _CENTRAL.pack(b"PK\1\2", *fields, 0, 0, 0, 0, _READABLE, offset) + name


def pack(members: Mapping[str, bytes]) -> bytes:
    """Build an archive; equal members give equal bytes.

    Raises:
        Refused: the archive would be larger than `MAX_BYTES`.
    """
    if sum(map(len, members.values())) + 2 * _MAX_DIRECTORY > MAX_BYTES:
        raise Refused(f"it would be larger than {MAX_BYTES:,} bytes")
    parts, directory, offset = [], [], 0
    for name, data in members.items():
        encoded, crc = name.encode("ascii"), crc32(data)
        header = _local_header(encoded, crc, len(data))
        directory.append(_central_header(encoded, crc, len(data), offset))
        parts += [header, data]
        offset += len(header) + len(data)
    size = sum(map(len, directory))
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), size, offset, 0)
    return b"".join([*parts, *directory, end])


def read_directory(file: BinaryIO, size: int, needed: str) -> dict[str, Member]:
    """List an archive's members, having checked every byte that is not theirs.

    Args:
        file: the archive.
        size: its size in bytes.
        needed: a member without which the archive is somebody else's.

    Raises:
        Refused: `needed` is missing, or the archive is not one that `pack` wrote.
    """
    entries = _read_entries(file, size)
    if needed not in [name for name, _ in entries]:
        raise Refused(f"it has no {needed}, so textgen did not write it")
    members: dict[str, Member] = {}
    position = 0
    for name, central in entries:
        crc, length = _CENTRAL.unpack_from(central)[7:9]
        header = _local_header(name.encode("ascii"), crc, length)
        if (
            name in members
            or not _NAME.fullmatch(name)
            or central != _central_header(name.encode("ascii"), crc, length, position)
            or _read_at(file, position, len(header)) != header
        ):
            raise Refused(f"its member {brief_name(name)} is damaged or packed by another program")
        members[name] = Member(position + len(header), length, crc)
        position += len(header) + length
    if position + sum(len(central) for _, central in entries) + _END.size != size:
        raise Refused("it has bytes that belong to no member")
    return members


def brief_name(name: str) -> str:
    """A member name, safe to print."""
    return ascii(name[:40])


def _read_entries(file: BinaryIO, size: int) -> list[tuple[str, bytes]]:
    """Names and raw entries of the central directory, unchecked but bounded."""
    if file.read(len(_HDF5)) == _HDF5:
        raise Refused("it is a legacy HDF5 file")
    if size < _END.size:
        raise Refused("it is too short to be an archive")
    end = _END.unpack(_read_at(file, size - _END.size, _END.size))
    signature, disk, first_disk, here, count, length, start, comment = end
    if (
        signature != b"PK\5\6"
        or (disk, first_disk, comment) != (0, 0, 0)
        or here != count
        or start + length + _END.size != size
    ):
        raise Refused("it is cut short or not an archive")
    if not 1 <= count <= MAX_MEMBERS or length > _MAX_DIRECTORY:
        raise Refused("it has too many members")
    return _split_entries(_read_at(file, start, length), count)


def _split_entries(directory: bytes, count: int) -> list[tuple[str, bytes]]:
    entries, position = [], 0
    for _ in range(count):
        if position + _CENTRAL.size > len(directory):
            raise Refused("its directory is damaged")
        lengths = _CENTRAL.unpack_from(directory, position)[10:13]
        entry = directory[position : position + _CENTRAL.size + sum(lengths)]
        try:
            name = entry[_CENTRAL.size : _CENTRAL.size + lengths[0]].decode("ascii")
        except UnicodeDecodeError:
            raise Refused("a member's name is not ASCII") from None
        entries.append((name, entry))
        position += len(entry)
    return entries


def _read_at(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def read_member(file: BinaryIO, member: Member) -> bytes:
    """A member's bytes.

    Raises:
        Refused: its CRC-32 differs, or the file shrank meanwhile.
    """
    data = _read_at(file, member.start, member.size)
    if len(data) != member.size or crc32(data) != member.crc:
        raise Refused("its contents are damaged (checksum differs)")
    return data
