#!/usr/bin/env python3
"""Shows that the simulator finds every mutant of src/base/mutant.h, and nothing without one.

tests/sim/mutants.py [NAME...] [--states N] [--jobs N] [--quick] [--write]

Builds the preset `mutants`. Each mutant is first looked for where it was found the last time
(tests/sim/mutants.txt: a name and arguments of xsan-sim), then in all courses from seed 1 on until so
many crash states were seen. A line for each says how it was found, after how many states, in how many
seconds of CPU time; then `found F of N`. At last the engine without a mutant goes through all the runs
in which mutants were looked for. The status is 0 when all were found and that was clean.

--quick: only the mutants and the runs of the file, with a short search where one of them finds nothing any more
(plans change when generate() does): part of `make test`. --write: keeps what was found in the file.
"""
import argparse
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SIM = ROOT / "build/mutants/tools/xsan-sim"
KNOWN = Path(__file__).resolve().parent / "mutants.txt"
COURSES = [
    "--policy log",
    "--policy resync",
    "--policy log --focus pull_member return_member rebuild_wait",
    "--policy log --focus write_error read_error",
    "--policy log --shape 8+3",
    "--policy log --focus restart",
    "--policy log --mode beyond",
    "--policy log --shape raid4 --ring 81920 --focus write",
    "--policy log --shape 1+1 --focus flush_error slow_commit flush",
    "--policy log --focus damage",
    "--policy log --shape 4+1 --reactors 56",
    "--policy log --focus relocate relocate pull_member slow create_volume",
]
SECONDS_MAX = 900  # of one run of xsan-sim; what takes longer hangs, which is a finding


class Outcome:
    """What one call of xsan-sim came to."""

    def __init__(self, arguments, mutant=None):
        command = [str(SIM), "--brief", *arguments.split()]
        if mutant:
            command += ["--mutant", mutant]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   text=True, cwd=ROOT)
        # It says at which seed it was, as for a broken assertion.
        timer = threading.Timer(SECONDS_MAX, lambda: process.send_signal(signal.SIGABRT))
        timer.start()
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = usage.ru_utime + usage.ru_stime
        found = re.search(r"^(?:seed (\d+): )?(\S+) at operation", text, re.M)
        states = re.search(r"(\d+) states .*?; (\d+) runs", text)
        self.states = int(states.group(1)) if states else 0
        self.runs = int(states.group(2)) if states else 0
        self.seed = int(found.group(1)) if found and found.group(1) else None
        self.kind = found.group(2) if found else "crash" if process.returncode not in (0, 1) else None
        self.text = text.strip()

    def found(self):
        return self.kind is not None


def known_runs():
    if not KNOWN.exists():
        return {}
    lines = [line.split(" ", 1) for line in KNOWN.read_text().splitlines() if line and not line.startswith("#")]
    return {name: arguments for name, arguments in lines}


class Search:
    """Looks for one mutant; says where it was found, and remembers which runs that took."""

    def __init__(self, name, known, options):
        self.name, self.options = name, options
        self.seconds, self.states = 0.0, 0
        self.where = self.kind = None
        self.courses = {}  # course -> the last seed that was run in it
        self.single = []   # arguments of single runs
        if known:
            self.single.append(known)
            if self.attempt(known):
                self.where = known
                return
        self.search(known)

    def attempt(self, arguments):
        outcome = Outcome(arguments, self.name)
        self.seconds += outcome.seconds
        self.states += outcome.states
        self.kind = outcome.kind
        self.last = outcome
        return outcome.found()

    def search(self, known):
        most = 2000 if self.options.quick else self.options.states
        seed = dict.fromkeys(COURSES, 1)
        part = 400
        while self.states < most:
            for course in COURSES:
                if self.attempt(f"{course} --seed {seed[course]} --states {part}"):
                    last = self.last.seed or seed[course]
                    self.courses[course] = last
                    self.where = f"{course} --seed {last} --runs 1"
                    return
                seed[course] += self.last.runs
                self.courses[course] = seed[course] - 1
            part *= 2


def report(search, kinds):
    how = f"{search.kind}, {search.where}" if search.where else "NOT FOUND"
    print(f"{search.name:28} {kinds[search.name]:22} {search.seconds:7.1f} s {search.states:6} states  {how}", flush=True)


def control_runs(searches):
    """Arguments that cover all runs in which mutants were looked for."""
    last = {}
    for search in searches:
        for course, seed in search.courses.items():
            last[course] = max(last.get(course, 0), seed)
    runs = {f"{course} --seed 1 --runs {seed}" for course, seed in last.items()}
    return sorted(runs | {one for search in searches for one in search.single})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--states", type=int, default=40000, help="crash states for each mutant, at most")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--no-build", action="store_true")
    options = parser.parse_args()
    if not options.no_build:
        environment = {**os.environ, "XSAN_PRESET": "mutants"}
        subprocess.run([ROOT / "scripts/build.sh", "xsan-sim"], env=environment, check=True, stdout=subprocess.DEVNULL)
    listed = subprocess.run([SIM, "--list-mutants"], text=True, stdout=subprocess.PIPE, check=True).stdout
    kinds = {line.split("\t")[0]: line.split("\t")[1] for line in listed.splitlines()}
    unknown = [name for name in options.names if name not in kinds]
    if unknown:
        print(f"mutants.py: no mutant is called {', '.join(unknown)}", file=sys.stderr)
        return 2
    known = known_runs()
    names = options.names or [name for name in kinds if name in known or not options.quick]
    began = time.monotonic()
    searches = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for done in concurrent.futures.as_completed(
                [pool.submit(Search, name, known.get(name), options) for name in names]):
            searches.append(done.result())
            report(searches[-1], kinds)
        found = sum(1 for search in searches if search.where)
        controls = list(pool.map(Outcome, control_runs(searches)))
    bad = [outcome for outcome in controls if outcome.found()]
    for outcome in bad:
        print(f"found without a mutant: {outcome.text}")
    if options.write:
        known.update({search.name: search.where for search in searches if search.where})
        lines = [f"{name} {known[name]}" for name in kinds if name in known]
        KNOWN.write_text("# Where each mutant was found the last time: written by mutants.py --write.\n" +
                         "\n".join(lines) + "\n")
    seconds = sum(outcome.seconds for outcome in controls)
    clean = "clean" if not bad else f"{len(bad)} findings"
    print(f"without a mutant: {clean} in {sum(c.runs for c in controls)} runs, "
          f"{sum(c.states for c in controls)} states, {seconds:.1f} s")
    print(f"found {found} of {len(names)}; {sum(s.seconds for s in searches) + seconds:.0f} s of CPU time, "
          f"{time.monotonic() - began:.0f} s")
    return 0 if found == len(names) and not bad else 1


if __name__ == "__main__":
    sys.exit(main())
