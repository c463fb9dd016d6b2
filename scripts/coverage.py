#!/usr/bin/env python3
"""How much of contracts/src the tests run:  scripts/coverage.py FORGE

Fails below 98 % of the lines or of the branches. The contracts are too large for the stack without the IR, and the IR tells forge
no places inside assembly: lines there are left out, and what they do is for the mutants (contracts/mutation) to test.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

CONTRACTS = pathlib.Path(__file__).resolve().parent.parent / "contracts"
LEAST = 98
# Its subject is the gas of what is deployed, which code that counts its lines does not have.
GAS_BOUND = "test/pools/LargestCase.t.sol"
IGNORED = "node_modules|^test/|^interop/|^peers/|^proofs/|src/interfaces/"


def report(forge):
    """The text of forge's lcov file."""
    with tempfile.TemporaryDirectory() as made:
        file = pathlib.Path(made) / "lcov.info"
        command = [forge, "coverage", "--ir-minimum", "--no-match-coverage", IGNORED, "--no-match-path", GAS_BOUND]
        command += ["--report", "lcov", "--report-file", file]
        own = os.environ | {"FOUNDRY_PROFILE": "coverage", "FOUNDRY_DENY": "never"}
        done = subprocess.run(command, cwd=CONTRACTS, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"{done.stdout[-5000:]}\ncoverage: forge ended with {done.returncode}")
        return file.read_text()


def assembly(source):
    """The numbers of the lines inside assembly blocks."""
    inside = set()
    for block in re.finditer(r"\bassembly\b[^{]*\{", source):
        depth, at = 1, block.end()
        while depth and at < len(source):
            depth += {"{": 1, "}": -1}.get(source[at], 0)
            at += 1
        first = source.count("\n", 0, block.end()) + 1
        inside.update(range(first, source.count("\n", 0, at) + 2))
    return inside


def points(text):
    """(kind, file, line, how often it ran) of every line and branch outside assembly."""
    for record in text.split("end_of_record"):
        named = re.search(r"^SF:(.*)$", record, re.MULTILINE)
        if not named:
            continue
        file = named.group(1)
        left_out = assembly((CONTRACTS / file).read_text())
        found = [("line", int(n), hits) for n, hits in re.findall(r"^DA:(\d+),(\d+)", record, re.MULTILINE)]
        found += [("branch", int(n), hits) for n, hits in re.findall(r"^BRDA:(\d+),\d+,\d+,(\d+|-)", record, re.MULTILINE)]
        yield from ((kind, file, n, 0 if hits == "-" else int(hits)) for kind, n, hits in found if n not in left_out)


def main():
    every = list(points(report(sys.argv[1])))
    ok = True
    for kind in ("line", "branch"):
        chosen = [point for point in every if point[0] == kind]
        missed = [point for point in chosen if point[3] == 0]
        if not chosen:
            sys.exit(f"coverage: the report has no {kind} of contracts/src")
        for _, file, line, _ in missed:
            print(f"no test runs this {kind}: {file}:{line}")
        share = 100 * (len(chosen) - len(missed)) / len(chosen)
        print(f"coverage: {len(chosen) - len(missed)} of {len(chosen)} {kind} points outside assembly, {share:.2f} %")
        ok = ok and share >= LEAST
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
