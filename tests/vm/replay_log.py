#!/usr/bin/python3 -IS
"""replay_log.py [OPTIONS] LOG BASE OUT SEED: what a drive may hold after the power was cut.

LOG is what `run.sh --write-log` wrote, BASE the drive's image from before that run, or `-` for one of zeros, OUT the
image to make. OUT gets all writes up to the last flush that had completed, and a part of the later ones, chosen by SEED:
some are dropped, some are torn (only some of their units arrive), in any order. Prints what became of the later ones as
one line of JSON; with --report, before it, a line for each of them.

The format is that of Linux's dm-log-writes, as QEMU 7.2's blklogwrites writes it:
- Sector 0 is a superblock: le64 magic, version, number of entries; le32 sector size. It is rewritten at each flush, so
  that the number is behind after a kill, and it is not used. Entries follow from sector 1 to the end of the file.
- An entry is a sector that begins with le64 sector, number of sectors, flags (1 flush, 2 FUA, 4 discard, 8 mark), length
  of a mark's text, and is zero otherwise. A write's data follows, none follows a discard. Write-zeroes is a write whose
  data is a hole.
- An entry's place is taken when the drive's file has done the request, in the order of the entries; the guest sees the
  completion only after entry and data are in the log. So a request that completed before another was submitted stands
  before it, and an unfinished one may be a hole, or missing, with finished ones behind it: holes are passed over, to the
  next sector that can be an entry.
- FUA is not in the log: QEMU 7.2's NVMe controller takes no notice of it. Tests use drives that turn it into a flush
  (power/honest.sh).
"""

import argparse
import json
import os
import random
import struct
import sys

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
WRITE_MAX = 1 << 30
REST = bytes(SECTOR - 32)


class BadLog(Exception):
    """Why the log cannot be replayed, as one line."""


class Log:
    """The entries as (flags, offset, length, where the data is in the log), in the log's order."""

    def __init__(self, path, image_size):
        self.fd = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self.fd).st_size
        self.image_size = image_size
        self.skipped = 0  # sectors of holes: what was under way when the power went
        if self.size:
            magic, version, _, sector = struct.unpack("<QQQI", self.read(0, 28) or bytes(28))
            # No flush yet, no superblock yet.
            if magic and (magic, version, sector) != (MAGIC, 1, SECTOR):
                raise BadLog(f"{path} is no write log with sectors of {SECTOR} bytes")
        self.entries = list(self.parse())

    def read(self, offset, length):
        return os.pread(self.fd, length, offset)

    def entry_at(self, at):
        """The entry in the sector at this offset, or None."""
        sector = self.read(at, SECTOR)
        if len(sector) < SECTOR or sector[32:] != REST:
            return None
        first, count, flags, text = struct.unpack("<QQQQ", sector[:32])
        if flags & ~(FLUSH | FUA | DISCARD | MARK) or text:
            return None
        if (first + count) * SECTOR > self.image_size or count * SECTOR > WRITE_MAX:
            return None
        # All zeros is a hole.
        if count == 0 and not flags & FLUSH:
            return None
        return flags, first * SECTOR, count * SECTOR, at + SECTOR

    def parse(self):
        return (entry for entry, _ in self.walk(SECTOR) if entry is not None)

    def walk(self, at):
        """From here on each entry and where it ends; None for the entry where holes were passed over."""
        while at + SECTOR <= self.size:
            entry = self.entry_at(at)
            if entry is None:
                at = self.after_hole(at + SECTOR)
                yield None, at
                continue
            at += SECTOR
            if not entry[0] & DISCARD:
                at += entry[2]
            if at > self.size:
                return  # its data is not there: it never completed
            yield entry, at

    def after_hole(self, at):
        """The next sector with anything in it; all that are passed over are counted."""
        self.skipped += 1
        try:
            data = os.lseek(self.fd, at, os.SEEK_DATA)
        except OSError:
            data = self.size
        data = max(at, data // SECTOR * SECTOR)
        self.skipped += (data - at) // SECTOR
        return data


class Image:
    """The drive's new image."""

    def __init__(self, path, base):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        if base is not None:
            self.copy(base)

    def copy(self, base):
        """Only what is there, so that the copy has the holes of the original."""
        size = os.fstat(base).st_size
        os.ftruncate(self.fd, size)
        at = 0
        while at < size:
            try:
                at = os.lseek(base, at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(base, at, os.SEEK_HOLE)
            while at < end:
                data = os.pread(base, min(end - at, 1 << 20), at)
                os.pwrite(self.fd, data, at)
                at += len(data)

    def apply(self, log, entry, skip=0, length=None):
        """A write or a discard, or the part of it that begins `skip` bytes after its beginning."""
        flags, offset, whole, data_at = entry
        if length is None:
            length = whole
        end = skip + length
        while skip < end:
            part = min(end - skip, 1 << 20)
            data = bytes(part) if flags & DISCARD else log.read(data_at + skip, part)
            os.pwrite(self.fd, data, offset + skip)
            skip += part


def torn_units(chooser, count):
    """Which units of a write arrive: the first ones, or any; at least one, and not all."""
    if chooser.random() < 0.5:
        return range(chooser.randrange(1, count))
    return chooser.sample(range(count), chooser.randrange(1, count))


def lose(image, log, tail, chooser, unit, report):
    """Applies what arrives of the writes that no flush covered; counts what became of them."""
    counts = {"kept": 0, "torn": 0, "dropped": 0, "bytes_dropped": 0}
    # Between nothing and everything: what a real drive does is not known.
    share = chooser.choice([0.0, 0.2, 0.5, 0.8, 1.0])
    torn_share = chooser.choice([0.0, 0.2, 0.6])
    fates = []
    for entry in tail:
        units = entry[2] // unit
        if chooser.random() >= share:
            fates.append(("dropped", entry, None))
        elif units > 1 and chooser.random() < torn_share:
            fates.append(("torn", entry, torn_units(chooser, units)))
        else:
            fates.append(("kept", entry, None))
    # Where writes overlap, that of an earlier one may be the one that arrived last.
    order = list(fates)
    chooser.shuffle(order)
    for fate, entry, arrived in order:
        if fate == "kept":
            image.apply(log, entry)
        elif fate == "torn":
            for index in arrived:
                image.apply(log, entry, index * unit, unit)
    for fate, entry, arrived in fates:
        counts[fate] += 1
        arrived_bytes = {"kept": entry[2], "torn": len(arrived or ()) * unit, "dropped": 0}[fate]
        counts["bytes_dropped"] += entry[2] - arrived_bytes
        if report:
            kind = "discard" if entry[0] & DISCARD else "write"
            print(f"{fate} {kind} at {entry[1]} of {entry[2]}" + (f": {sorted(arrived)}" if arrived else ""))
    return counts


def parse_arguments():
    parser = argparse.ArgumentParser(prog="replay_log.py", description="What a drive may hold after a power cut.")
    parser.add_argument("log", metavar="LOG")
    parser.add_argument("base", metavar="BASE", help="the image from before, or - for zeros")
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("seed", metavar="SEED")
    parser.add_argument("--unit", type=int, choices=[512, 4096], default=512, help="what is never torn (512)")
    parser.add_argument("--size", type=int, help="the image's size in bytes, when BASE is -")
    parser.add_argument("--report", action="store_true", help="print the fate of each write")
    arguments = parser.parse_args()
    if (arguments.base == "-") != (arguments.size is not None):
        parser.error("--size belongs to a BASE of -")
    return arguments


def main():
    arguments = parse_arguments()
    base = None if arguments.base == "-" else os.open(arguments.base, os.O_RDONLY)
    size = arguments.size if base is None else os.fstat(base).st_size
    log = Log(arguments.log, size)
    image = Image(arguments.out, base)
    os.ftruncate(image.fd, size)
    flushes = [i for i, entry in enumerate(log.entries) if entry[0] & FLUSH]
    covered = flushes[-1] if flushes else 0
    stable = [e for e in log.entries[:covered] if e[2] and not e[0] & MARK]
    tail = [e for e in log.entries[covered:] if e[2] and not e[0] & MARK]
    for entry in stable:
        image.apply(log, entry)
    # Text, because a generator seeded by a tuple depends on the process's hashes.
    chooser = random.Random(arguments.seed)
    counts = lose(image, log, tail, chooser, arguments.unit, arguments.report)
    print(json.dumps({"flushes": len(flushes), "stable": len(stable), "skipped_sectors": log.skipped, **counts}))


if __name__ == "__main__":
    try:
        main()
    except (BadLog, OSError) as error:
        sys.exit(f"replay_log.py: {error}")
