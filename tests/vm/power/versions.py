#!/usr/bin/python3 -IS
"""Blocks that say what they are: written until the power goes, checked after it.

versions.py write DEVICE SEED REPORT      writes until it is killed; REPORT gets a line for what is durable
versions.py check DEVICE SEED REPORT UNIT LOST
                                          reads DEVICE twice and compares it to what may be there; one line of JSON.
                                          LOST: members were lost with the power (yes, no)
versions.py digest DEVICE                 the digest of what check read, anew

What is written is a plan: eight threads, each with pieces of the device of its own, and for each thread an endless list
of operations that follows from SEED alone. So the checker knows which operation wrote a block without being told.
A thread's next operation begins when the one before it has ended. A block of 4 KiB repeats one cell: its number, its
version (thread and number of the operation), and their checksum.

Lines of the report: `flushed N0 N1 ...`: a flush has completed, and before it was submitted each thread's first N
operations had; `durable T N`: thread T's operation N had FUA and has completed. A line is written after the event, so
that after a cut more may be durable than the report says, never less.

The check, for each block: what it holds is its state after the last operation on it that was reported durable, or after
a later one of the plan, and no other; nothing that was never written is there. Whole blocks, or, where the pool promises
no more, each UNIT bytes of it on its own. Where members were lost with the power, a block may be an I/O error instead,
unless what it held when the last operation on it was reported durable is all it may hold (docs/fault-model.md: a large
overwrite of whole stripes that was under way); it stays one.
"""

import errno
import fcntl
import hashlib
import json
import mmap
import os
import random
import struct
import sys
import threading
import zlib

BLOCK = 4096
THREADS = 8
PIECE = 96  # blocks: no multiple of a stripe of any scheme here, so that threads meet in stripes
WRITE_MAX = 64
ZEROOUT = 0x127F
SIZE64 = 0x80081272
AHEAD = 500  # operations of a thread since the last report: far more than there are
MAGIC = 0x58535057


def cell(block, version):
    head = struct.pack("<III", MAGIC, block, version)
    return head + struct.pack("<I", zlib.crc32(head))


def version_of(thread, number):
    return thread << 28 | number


def plan(seed, thread, blocks):
    """(kind, first block, count) for ever; kind: write, fua, zero."""
    chooser = random.Random(f"{seed}.{thread}")
    pieces = range(thread, blocks // PIECE, THREADS)
    # Most writes meet in a few stripes; the others reach what was never written.
    hot = pieces[: max(1, len(pieces) // 4)]
    while True:
        piece = chooser.choice(hot if chooser.random() < 0.7 else pieces)
        die = chooser.random()
        if die < 0.5:
            count = 1
        elif die < 0.8:
            count = chooser.randint(2, 16)
        else:
            count = chooser.randint(17, WRITE_MAX)
        at = piece * PIECE + chooser.randrange(PIECE - count + 1)
        die = chooser.random()
        yield "fua" if die < 0.02 else "zero" if die < 0.03 else "write", at, count


class Device:
    def __init__(self, path, flags):
        self.fd = os.open(path, flags | os.O_DIRECT)
        if os.path.exists("/sys/class/block/" + os.path.basename(path)):
            size = struct.unpack("<Q", fcntl.ioctl(self.fd, SIZE64, bytes(8)))[0]
        else:
            size = os.fstat(self.fd).st_size
        self.blocks = size // BLOCK

    def read(self, view, block):
        """False: an I/O error."""
        try:
            done = os.preadv(self.fd, [view], block * BLOCK)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        if done != len(view):
            raise OSError(f"read of block {block} got {done} bytes of {len(view)}")
        return True

    def each(self):
        """(number, content) of all blocks; None: it cannot be read."""
        at_once = 64
        buffer = memoryview(mmap.mmap(-1, at_once * BLOCK))
        for block in range(0, self.blocks, at_once):
            count = min(at_once, self.blocks - block)
            views = [buffer[i * BLOCK : (i + 1) * BLOCK] for i in range(count)]
            is_read = self.read(buffer[: count * BLOCK], block)
            for i, view in enumerate(views):
                yield block + i, bytes(view) if is_read or self.read(view, block + i) else None

    def digest(self, look=None):
        digest = hashlib.md5()
        for block, data in self.each():
            digest.update(data or b"cannot be read")
            if look:
                look(block, data)
        return digest.hexdigest()


class Writer:
    def __init__(self, device, seed, report):
        self.device, self.seed = device, seed
        self.done = [0] * THREADS
        self.report_fd = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self.lock = threading.Lock()
        self.say("begun")

    def say(self, line):
        with self.lock:
            os.write(self.report_fd, line.encode() + b"\n")

    def run(self, thread):
        try:
            self.work(thread)
        except OSError as error:
            print(f"thread {thread}, operation {self.done[thread] + 1}: {error}", flush=True)
            os._exit(1)

    def work(self, thread):
        buffer = memoryview(mmap.mmap(-1, WRITE_MAX * BLOCK))
        when = random.Random(f"{self.seed}.{thread}.flush")
        for number, (kind, block, count) in enumerate(plan(self.seed, thread, self.device.blocks), 1):
            if kind == "zero":
                fcntl.ioctl(self.device.fd, ZEROOUT, struct.pack("<QQ", block * BLOCK, count * BLOCK))
            else:
                view = buffer[: count * BLOCK]
                for i in range(count):
                    view[i * BLOCK : (i + 1) * BLOCK] = cell(block + i, version_of(thread, number)) * (BLOCK // 16)
                done = os.pwritev(self.device.fd, [view], block * BLOCK, os.RWF_DSYNC if kind == "fua" else 0)
                if done != len(view):
                    raise OSError(f"write of block {block} wrote {done} bytes of {len(view)}")
            self.done[thread] = number
            if kind == "fua":
                self.say(f"durable {thread} {number}")
            if when.random() < 0.02:
                before = list(self.done)
                os.fsync(self.device.fd)
                self.say("flushed " + " ".join(map(str, before)))


class Checker:
    def __init__(self, device, seed, report, unit, members_lost):
        self.device, self.unit, self.members_lost = device, unit, members_lost
        self.flushed = [0] * THREADS
        self.durable = set()
        self.read_report(report)
        # Block -> what it may hold: the last durable state first. 0 is zeros.
        self.may_hold = [[0] for _ in range(device.blocks)]
        for thread in range(THREADS):
            self.follow_plan(seed, thread)
        self.wrong = []
        self.newer = 0
        self.given_up = 0

    def read_report(self, path):
        with open(path, encoding="ascii") as file:
            for line in file:
                words = line.split()
                if words[0] == "flushed":
                    # Two flushes at once may be reported in any order.
                    self.flushed = [max(a, int(b)) for a, b in zip(self.flushed, words[1:])]
                elif words[0] == "durable":
                    self.durable.add((int(words[1]), int(words[2])))

    def follow_plan(self, seed, thread):
        last = max([self.flushed[thread]] + [n for t, n in self.durable if t == thread]) + AHEAD
        for number, (kind, block, count) in enumerate(plan(seed, thread, self.device.blocks), 1):
            if number > last:
                return
            content = 0 if kind == "zero" else version_of(thread, number)
            is_floor = number <= self.flushed[thread] or (thread, number) in self.durable
            for i in range(block, block + count):
                if is_floor:
                    self.may_hold[i] = [content]
                else:
                    self.may_hold[i].append(content)

    def check(self, block, data):
        """Data is a block's; a version that does not belong there is one line of `wrong`."""
        found = set()
        if data is None:
            self.given_up += 1
            if not self.members_lost or len(self.may_hold[block]) == 1:
                self.wrong.append(f"block {block} cannot be read")
            return
        # A block of one version, as nearly all are, is looked at once.
        unit = BLOCK if data == data[:16] * (BLOCK // 16) else self.unit
        for at in range(0, BLOCK, unit):
            part = data[at : at + unit]
            head = part[:16]
            if head == bytes(16) and part == bytes(unit):
                version = 0
            else:
                magic, number, version, crc = struct.unpack("<IIII", head)
                if magic != MAGIC or zlib.crc32(head[:12]) != crc or part != head * (unit // 16):
                    self.wrong.append(f"block {block} at byte {at}: no content of ours, or a mix: {self.parts(data)}")
                    return
                if number != block:
                    self.wrong.append(f"block {block} holds what belongs to block {number}")
                    return
            if version not in found and version not in self.may_hold[block]:
                self.wrong.append(f"block {block} holds {self.name(version)}, not one of "
                                  f"{[self.name(v) for v in self.may_hold[block][:4]]}: {self.parts(data)}")
                return
            found.add(version)
        if found != {self.may_hold[block][0]}:
            self.newer += 1

    @staticmethod
    def name(version):
        return f"{version >> 28}/{version & 0xfffffff}" if version else "zeros"

    def parts(self, data):
        """What the sectors of a block hold, for a person."""
        found = {}
        for at in range(0, BLOCK, 512):
            magic, number, version, crc = struct.unpack("<IIII", data[at : at + 16])
            good = magic == MAGIC and zlib.crc32(data[at : at + 12]) == crc
            name = f"{self.name(version)} of block {number}" if good else "zeros" if not any(data[at : at + 512]) else "?"
            found.setdefault(name, []).append(at)
        return found

    def run(self):
        digest = self.device.digest(self.check)
        if self.device.digest() != digest:
            self.wrong.append("the second read gave other data than the first")
        return {"blocks": self.device.blocks, "newer": self.newer, "given_up": self.given_up, "wrong": len(self.wrong),
                "digest": digest, "flushed": self.flushed}


def main():
    verb, path = sys.argv[1:3]
    if verb == "digest":
        print(Device(path, os.O_RDONLY).digest())
        return
    seed, report = sys.argv[3:5]
    if verb == "write":
        writer = Writer(Device(path, os.O_RDWR), seed, report)
        threads = [threading.Thread(target=writer.run, args=(i,)) for i in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return
    checker = Checker(Device(path, os.O_RDONLY), seed, report, int(sys.argv[5]), sys.argv[6] == "yes")
    result = checker.run()
    for line in checker.wrong[:8]:
        print("wrong:", line, file=sys.stderr)
    print(json.dumps(result))
    sys.exit(1 if checker.wrong else 0)


main()
