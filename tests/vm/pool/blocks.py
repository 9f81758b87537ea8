#!/usr/bin/python3 -IS
"""blocks.py DEVICE MIB STOP [ERRORS]: writes and reads blocks of a device until the file STOP exists, then reads all.

A block reads as the last content that was acknowledged, or as one whose write failed since, or as an error; anything
else is wrong data. Errors are allowed only from the moment on that the file ERRORS exists. Prints one line at the end;
exit status 0 when everything was as it must be, 1 otherwise.
"""

import mmap
import os
import random
import struct
import sys
import threading

BLOCK = 4096
BLOCKS_MAX = 48
WORKERS = 4


def content(block, generation):
    return struct.pack("<QQ", block, generation) * (BLOCK // 16)


class Worker:
    """One thread with a part of the device of its own, so that it knows what each block may hold."""

    def __init__(self, fd, first, count, stop, errors):
        self.fd, self.first, self.count, self.stop, self.errors = fd, first, count, stop, errors
        self.may_hold = [{0} for _ in range(count)]
        self.buffer = mmap.mmap(-1, BLOCKS_MAX * BLOCK)
        self.random = random.Random(first)
        self.generation = 0
        self.writes = self.failed = self.right = 0
        self.wrong = []

    def failure(self, what, block, error):
        self.failed += 1
        if not (self.errors and os.path.exists(self.errors)):
            self.wrong.append(f"{what} of block {block} failed too early: {error}")

    def write(self, at, count):
        self.generation += 1
        view = memoryview(self.buffer)[: count * BLOCK]
        for i in range(count):
            view[i * BLOCK : (i + 1) * BLOCK] = content(self.first + at + i, self.generation)
        try:
            done = os.pwritev(self.fd, [view], (self.first + at) * BLOCK)
            if done != len(view):
                raise OSError(f"only {done} bytes")
        except OSError as error:
            self.failure("write", self.first + at, error)
            for i in range(count):
                self.may_hold[at + i].add(self.generation)
            return
        self.writes += 1
        for i in range(count):
            self.may_hold[at + i] = {self.generation}

    def read(self, at, count, one_by_one=False):
        view = memoryview(self.buffer)[: count * BLOCK]
        try:
            done = os.preadv(self.fd, [view], (self.first + at) * BLOCK)
            if done != len(view):
                raise OSError(f"only {done} bytes")
        except OSError as error:
            if one_by_one and count > 1:
                for i in range(count):
                    self.read(at + i, 1)
                return
            self.failure("read", self.first + at, error)
            return
        for i in range(count):
            got = bytes(view[i * BLOCK : (i + 1) * BLOCK])
            block = self.first + at + i
            if any(got == (content(block, g) if g else bytes(BLOCK)) for g in self.may_hold[at + i]):
                self.right += 1
            else:
                found = struct.unpack("<QQ", got[:16])
                self.wrong.append(f"block {block} holds {found}, not of generation {self.may_hold[at + i]}")

    def run(self):
        while not os.path.exists(self.stop) and not self.wrong:
            count = self.random.randint(1, min(BLOCKS_MAX, self.count))
            at = self.random.randrange(self.count - count + 1)
            if self.random.random() < 0.7:
                self.write(at, count)
            else:
                self.read(at, count)
        self.right = 0
        for at in range(0, self.count, BLOCKS_MAX):
            self.read(at, min(BLOCKS_MAX, self.count - at), one_by_one=True)


def main():
    device, mib, stop = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    errors = sys.argv[4] if len(sys.argv) > 4 else None
    fd = os.open(device, os.O_RDWR | os.O_DIRECT)
    each = mib * 256 // WORKERS
    workers = [Worker(fd, i * each, each, stop, errors) for i in range(WORKERS)]
    for i in range(0, mib):  # what was there before is nobody's
        zeros = mmap.mmap(-1, 1 << 20)
        os.pwritev(fd, [zeros], i << 20)
    threads = [threading.Thread(target=worker.run) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wrong = [w for worker in workers for w in worker.wrong]
    print(
        f"{sum(w.writes for w in workers)} writes, {sum(w.failed for w in workers)} requests failed; "
        f"at the end {sum(w.right for w in workers)} blocks of {each * WORKERS} are right, {len(wrong)} wrong"
    )
    for line in wrong[:10]:
        print(line)
    sys.exit(1 if wrong else 0)


main()
