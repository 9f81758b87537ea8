#!/usr/bin/env python3
"""Checks of the tree that no compiler makes; runs as a test (`make tidy`, part of `make test`).

- #include arrows point down: a layer includes itself and the layers that its CMakeLists.txt names in DEPS.
- Every source of a layer is listed in its CMakeLists.txt.
- Files open with a comment that says what they are; lines have at most 120 columns; files end before 600 lines.
- Below tools/ there is no wall clock, no entropy, no environment; threads and mutexes live in src/reactor.
- Relative links in Markdown files lead somewhere.
Prints one line per finding; the status says whether there were any.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
LINES_MAX = 600
COLUMNS_MAX = 120  # the aim is 100 (.clang-format)
# What must not be used in src, with what to use instead; exceptions are folders.
BANNED = [
    (r"\bstd::(mutex|condition_variable|thread|jthread)\b", "a primitive of src/reactor", {"reactor"}),
    (r"\bstd::random_device\b", "the Rng that the main program seeds", set()),
    (r"\b(std::getenv|::getenv|secure_getenv)\b", "a value from the main program", set()),
    (r"\bsystem_clock\b", "Reactor::now()", set()),
    (r"\bstd::this_thread::sleep", "co_await sleep_for()", {"ublk", "daemon"}),  # on helper threads
    (r"\bFIXME\b", "an issue", set()),
]


def layers():
    """Layer name -> (allowed layers, listed sources), from the CMake lists, which are the one list of edges."""
    found = {}
    for listing in sorted(SRC.glob("*/CMakeLists.txt")):
        text = re.sub(r"#.*", "", listing.read_text())
        match = re.search(r"xsan_layer\((\w+)(.*?)\)", text, re.S)
        if not match:
            continue
        words = match.group(2).split()
        part, parts = None, {"SOURCES": [], "DEPS": [], "LIBS": []}
        for word in words:
            if word in parts:
                part = word
            elif part:
                parts[part].append(word)
        found[match.group(1)] = (set(parts["DEPS"]) | {match.group(1)}, set(parts["SOURCES"]))
    return found


def check_layers(report):
    known = layers()
    for name, (allowed, sources) in known.items():
        for path in sorted((SRC / name).rglob("*")):
            if path.suffix not in {".h", ".cc"}:
                continue
            if path.suffix == ".cc" and str(path.relative_to(SRC / name)) not in sources:
                report(path, 0, f"not listed in src/{name}/CMakeLists.txt")
            for number, line in enumerate(path.read_text().splitlines(), 1):
                match = re.match(r'#include "(\w+)/', line)
                if match and match.group(1) in known and match.group(1) not in allowed:
                    report(path, number, f"layer {name} may not include {match.group(1)}")


def check_text(report):
    for folder in ("src", "tools", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".h", ".cc"}:
                continue
            lines = path.read_text().splitlines()
            if not lines or not lines[0].startswith("//"):
                report(path, 1, "does not open with a comment that says what the file is")
            if len(lines) > LINES_MAX:
                report(path, len(lines), f"has more than {LINES_MAX} lines")
            for number, line in enumerate(lines, 1):
                if len(line) > COLUMNS_MAX:
                    report(path, number, f"has {len(line)} columns")
                if folder != "src":
                    continue
                code = line.split("//")[0]
                for pattern, instead, exempt in BANNED:
                    if re.search(pattern, code) and path.relative_to(SRC).parts[0] not in exempt:
                        report(path, number, f"uses {pattern.strip(chr(92) + 'b')}: use {instead}")


def check_links(report):
    for path in sorted(ROOT.rglob("*.md")):
        if "build" in path.relative_to(ROOT).parts:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for target in re.findall(r"\]\(([^)#\s]+)", line):
                if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
                    report(path, number, f"links to {target}, which does not exist")


def main():
    findings = []

    def report(path, line, what):
        findings.append(f"{path.relative_to(ROOT)}:{line}: {what}")

    check_layers(report)
    check_text(report)
    check_links(report)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
