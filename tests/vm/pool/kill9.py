#!/usr/bin/python3 -IS
"""kill9.py ROUNDS SEED PID DEVICE FOLDER: the rounds of kill9.sh, in one process: others cost a lot in a guest.

PID is xsand's, which has the pool `tank` of two parities; DEVICE one of its volumes, FOLDER a filesystem on another. In
each round threads write to and read from DEVICE, one more writes files, and xsand is killed at a random moment of that,
in some rounds while a rebuild or a scrub runs. It is started again, and the load goes on and comes to its end. Then
- parity agrees with data: a scrub finds no mismatch, and nothing that it could not look at;
- DEVICE and the files hold exactly what was written last, read anew from the members;
- they do so with two members failed, another pair in each round, who then come back.
Moments, pairs and what is written follow from SEED; what the kill meets depends on the machine too, and is printed.
The process id of the last xsand is left in /run/xsand.pid. Exit status: 0, or 1 with a line that begins with FAILED.
"""

import itertools
import json
import mmap
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

BLOCK = 4096
BLOCKS_MAX = 256  # of one request
WORKERS = 8
FILES = 20
LIMIT = 120  # seconds that anything here may take
PARITY = 2


class Failed(Exception):
    """What is wrong, as one line."""


def until(what, condition):
    """Waits until the condition holds, and gives back what it gave."""
    deadline = time.monotonic() + LIMIT
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"not within {LIMIT} s: {what}")
        time.sleep(0.02)
    return value


class Daemon:
    """xsand: its process and a connection to it."""

    def __init__(self, pid):
        self.pid, self.process, self.lines = pid, None, None
        self.connect()

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(LIMIT)
        self.socket.connect("/run/xsan/xsand.sock")
        self.lines = self.socket.makefile()

    def call(self, method, **params):
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"pool": "tank", **params}}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(self.lines.readline())
        if "error" in answer:
            raise Failed(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def kill(self):
        process = os.pidfd_open(self.pid)
        signal.pidfd_send_signal(process, signal.SIGKILL)
        select.select([process], [], [])
        os.close(process)
        if self.process:
            self.process.wait()

    def start(self):
        with open("/var/log/xsand.log", "ab") as log:
            self.process = subprocess.Popen(["xsand"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid
        until("xsand serves the pool again", self.serves)

    def serves(self):
        if self.process.poll() is not None:
            raise Failed(f"xsand ended at its start with {self.process.returncode}")
        try:
            self.connect()
            return self.call("show")
        except (Failed, OSError, ValueError):
            return False

    # ---- what the pool must be -----------------------------------------------------------------------------------

    def is_rebuilt(self):
        status = self.call("rebuild.status")
        moves = [j for j in status["jobs"] if j["kind"] in ("rebuild", "relocate", "replace")]
        if any(j["state"] == "failed" for j in moves):
            raise Failed(f"the rebuild failed: {status}")
        left = [status[name] for name in ("pending_groups", "unplaced_groups", "failed_groups")]
        return left == [0, 0, 0] and not any(j["state"] in ("running", "paused") for j in moves)

    def rebuilt(self):
        until("the rebuild ends", self.is_rebuilt)
        pool = self.call("show")
        if pool["state"] != "online" or any(m["state"] != "in_sync" for m in pool["members"]):
            raise Failed(f"{pool['state']} after the rebuild: {[m['state'] for m in pool['members']]}")

    def no_resync(self):
        return not any(j["kind"] == "resync" and j["state"] == "running" for j in self.call("show")["jobs"])

    def scrubbed(self):
        def ended():
            status = self.call("scrub.status")
            return status if status["state"] not in ("running", "paused") else None

        # One that the kill interrupted goes on, and has looked at some stripes before it.
        until("an earlier scrub ends", ended)
        self.call("scrub.check")
        status = until("the scrub ends", ended)
        found = [status[name] for name in ("mismatches", "errors", "incomplete")]
        all_of_them = 0 < status["stripes_total"] == status["stripes_checked"]
        if status["state"] != "done" or found != [0, 0, 0] or not all_of_them:
            raise Failed(f"scrub: {status}")
        return status["stripes_checked"]


def content(block, generation):
    return struct.pack("<QQ", block, generation) * (BLOCK // 16) if generation else bytes(BLOCK)


class Stoppable:
    """A thread that repeats a step until told to stop; what it raises is raised by stop()."""

    def __init__(self):
        self.done = 0
        self.in_step = False

    def start(self):
        self.stopping, self.error = False, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.stopping:
                self.step()
                self.done += 1
        except (Failed, OSError) as error:
            self.error = error

    def check(self):
        if self.error:
            raise Failed(f"the load: {self.error}")

    def stop(self):
        self.stopping = True
        self.thread.join(LIMIT)
        if self.thread.is_alive():
            raise Failed(f"a request of the load has not ended within {LIMIT} s")
        self.check()


class Blocks(Stoppable):
    """Writes and reads a part of the device that is its own, so that it knows what each block holds."""

    def __init__(self, device, first, count, seed):
        super().__init__()
        self.fd = os.open(device, os.O_RDWR | os.O_DIRECT)
        self.first, self.count = first, count
        self.holds = [0] * count
        self.generation = 0
        self.random = random.Random(f"{seed}.{first}")
        self.buffer = memoryview(mmap.mmap(-1, BLOCKS_MAX * BLOCK))

    def expected(self, at, count):
        return b"".join(content(self.first + i, self.holds[i]) for i in range(at, at + count))

    def transfer(self, function, view, at):
        self.in_step = True
        done = function(self.fd, [view], (self.first + at) * BLOCK)
        self.in_step = False
        if done != len(view):
            raise Failed(f"{function.__name__} of block {self.first + at}: {done} bytes of {len(view)}")

    def step(self):
        count = self.random.randint(1, 1 << self.random.randint(0, 8))
        at = self.random.randrange(self.count - count + 1)
        if self.random.random() < 0.2:
            self.read(at, count)
            return
        self.generation += 1
        self.holds[at : at + count] = [self.generation] * count
        view = self.buffer[: count * BLOCK]
        view[:] = self.expected(at, count)
        self.transfer(os.pwritev, view, at)

    def read(self, at, count):
        view = self.buffer[: count * BLOCK]
        self.transfer(os.preadv, view, at)
        if view == self.expected(at, count):
            return
        for i in range(count):
            found = bytes(view[i * BLOCK : (i + 1) * BLOCK])
            if found != self.expected(at + i, 1):
                block, generation = struct.unpack("<QQ", found[:16])
                raise Failed(f"block {self.first + at + i} is not as written the last time, in generation "
                             f"{self.holds[at + i]}; it begins as generation {generation} of block {block}")

    def read_all(self):
        for at in range(0, self.count, BLOCKS_MAX):
            self.read(at, min(BLOCKS_MAX, self.count - at))


class Files(Stoppable):
    """Writes files, each made durable and then renamed over the one before it."""

    def __init__(self, folder, seed):
        super().__init__()
        self.folder = folder
        self.contents = {}
        self.random = random.Random(f"{seed}.files")

    def step(self):
        name = f"{self.folder}/{self.random.randrange(FILES)}"
        data = self.random.randbytes(self.random.randint(20_000, 300_000))
        self.in_step = True
        with open(name + ".new", "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(name + ".new", name)
        self.in_step = False
        self.contents[name] = data

    def read_all(self):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        for name, data in self.contents.items():
            with open(name, "rb") as file:
                if file.read() != data:
                    raise Failed(f"{name} differs")


class Load:
    def __init__(self, device, folder, seed):
        with open(f"/sys/class/block/{os.path.basename(device)}/size", encoding="ascii") as file:
            each = int(file.read()) * 512 // BLOCK // WORKERS
        self.blocks = [Blocks(device, i * each, each, seed) for i in range(WORKERS)]
        self.all = [*self.blocks, Files(folder, seed)]

    def start(self):
        for one in self.all:
            one.start()

    def gets_on(self, steps):
        """Waits until each has done that many more steps."""
        goals = [(one, one.done + steps) for one in self.all]

        def have():
            for one in self.all:
                one.check()
            return all(one.done >= goal for one, goal in goals)

        until("the load gets on", have)

    def stop(self):
        for one in self.all:
            one.stopping = True
        for one in self.all:
            one.stop()

    def in_flight(self):
        return sum(one.in_step for one in self.all)

    def is_right(self, when):
        """All of it is read, by all at once."""
        errors = []

        def read(one):
            try:
                one.read_all()
            except (Failed, OSError) as error:
                errors.append(f"{when}: {error}")

        threads = [threading.Thread(target=read, args=(one,), daemon=True) for one in self.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LIMIT)
            if thread.is_alive():
                raise Failed(f"{when}: a read has not ended within {LIMIT} s")
        if errors:
            raise Failed(errors[0])


def one_round(daemon, load, chooser, lost, meanwhile):
    """Gives back what the kill met. The members are back at the end, and a rebuild runs."""
    if meanwhile != "rebuild":
        daemon.rebuilt()
    if meanwhile == "scrub":
        daemon.call("scrub.check")
    load.start()
    load.gets_on(1)
    after = chooser.uniform(0, 1.5)
    time.sleep(after)
    met = f"killed after {after:.2f} s, with {load.in_flight()} requests in flight"
    daemon.kill()
    daemon.start()
    load.gets_on(2)
    load.stop()
    until("the resync ends", daemon.no_resync)
    daemon.rebuilt()
    stripes = daemon.scrubbed()
    load.is_right("with all members")
    members = daemon.call("show")["members"]
    paths = [m["path"] for m in members if m["index"] in lost]
    for path in paths:
        daemon.call("fail", device=path)
    state = daemon.call("show")["state"]
    if state != "degraded":
        raise Failed(f"the pool is {state} without members {lost}")
    load.is_right(f"without members {lost}")
    daemon.call("add", devices=paths)
    return f"{met}; {stripes} stripes agree"


def main():
    rounds, seed, device, folder = int(sys.argv[1]), sys.argv[2], *sys.argv[4:6]
    daemon = Daemon(int(sys.argv[3]))
    chooser = random.Random(seed)
    load = Load(device, folder, seed)
    pairs = []
    began = time.monotonic()
    for number in range(1, rounds + 1):
        if not pairs:
            pairs = list(itertools.combinations(range(6), PARITY))
            chooser.shuffle(pairs)
        lost = pairs.pop()
        meanwhile = chooser.choice(["", "", "scrub", "rebuild"]) if number > 1 else ""
        what = f"round {number} of {rounds}, without members {lost[0]} and {lost[1]}"
        if meanwhile:
            what += f", during a {meanwhile}"
        try:
            met = one_round(daemon, load, chooser, lost, meanwhile)
        except (Failed, OSError) as error:
            print(f"FAILED: {what}: {error}; again: kill9.sh {rounds} {seed}", flush=True)
            os._exit(1)  # a hung request does not end
        now = time.monotonic()
        print(f"{what}: {met} ({now - began:.1f} s)", flush=True)
        began = now
    daemon.rebuilt()
    load.is_right("after the last rebuild")
    with open("/run/xsand.pid", "w", encoding="ascii") as file:
        file.write(f"{daemon.pid}\n")
    writes = sum(one.done for one in load.blocks)
    print(f"killed {rounds} times; {writes} requests and {load.all[-1].done} files were right", flush=True)


main()
