#!/usr/bin/python3 -IS
"""cut_unflushed.py IMAGES LOGS CUT SIZE: cuts the power of a guest at a moment at which writes are not flushed.

IMAGES is the folder of the guest's drives (by it the emulator is found), LOGS that of their write logs, CUT the file at which
run.sh cuts the power, SIZE that of a drive in bytes. Such a moment is short where each file is synced: so the emulator is
stopped whenever the logs look like it, they are read again, and either CUT is made while it stands still, or it goes on.
A stop is no different from the power cut that follows: what was under way may still arrive.

At first many unflushed writes are wanted, on several drives; after PATIENCE seconds any will do, and after twice that the
power is cut as it is.
"""

import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from replay_log import FLUSH, MARK, SECTOR, Log

PATIENCE = 20
WRITES_WANTED = 8
DRIVES_WANTED = 2


class Tail(Log):
    """What no flush covers at the end of a log that grows."""

    def __init__(self, path, image_size):
        self.begin = SECTOR  # everything before is flushed
        super().__init__(path, image_size)

    def parse(self):
        return []

    def unflushed(self):
        self.size = os.fstat(self.fd).st_size
        count = 0
        has_holes = False
        for entry, end in self.walk(self.begin):
            if entry is None:
                has_holes = True  # a request that is not done: what follows it may still change
            elif entry[0] & FLUSH:
                count = 0
                if not has_holes:
                    self.begin = end
            elif entry[2] and not entry[0] & MARK:
                count += 1
        return count


def emulator(images):
    """The process that has these images on its command line."""
    wanted = os.fsencode(images + "/xsan0.img")
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"qemu-system" in words.split(b"\0")[0] and wanted in words:
            return int(path.parent.name)
    return None


def is_good(counts, waited):
    if waited > PATIENCE:
        return any(counts)
    return sum(counts) >= WRITES_WANTED and sum(1 for count in counts if count) >= DRIVES_WANTED


def main():
    images, logs, cut, size = sys.argv[1:]
    tails = [Tail(path, int(size)) for path in sorted(Path(logs).glob("*.log"))]
    began = time.monotonic()
    while (waited := time.monotonic() - began) < 2 * PATIENCE:
        if is_good([tail.unflushed() for tail in tails], waited):
            pid = emulator(images)
            if pid is None:
                break
            os.kill(pid, signal.SIGSTOP)
            if is_good([tail.unflushed() for tail in tails], waited):
                Path(cut).touch()
                return
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.02)
    Path(cut).touch()


try:
    main()
except OSError as error:
    sys.exit(f"cut_unflushed.py: {error}")
