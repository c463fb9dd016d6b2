#!/usr/bin/env python3
"""Runs Slither over contracts/src and fails unless docs/security.md answers exactly what it finds:  scripts/slither.py SLITHER

An answer is a row of the table in the section "Slither's findings": | `detector`... | `Contract.function`... | answer |. A detector
whose answer is the same wherever it strikes has "everywhere" for a place and is excluded in contracts/slither.config.json.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONTRACTS = ROOT / "contracts"
ANSWERS = ROOT / "docs/security.md"
SECTION = "## Slither's findings"


def findings(slither):
    """{(detector, place): what Slither says}."""
    with tempfile.TemporaryDirectory() as made:
        report = pathlib.Path(made) / "report.json"
        # A build folder of its own: Slither has forge clean it.
        own = os.environ | {"FOUNDRY_OUT": "out-slither", "FOUNDRY_CACHE_PATH": "cache-slither"}
        done = subprocess.run(
            [slither, ".", "--json", report], cwd=CONTRACTS, env=own, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if not report.exists() or not (found := json.loads(report.read_text()))["success"]:
            sys.exit(f"{done.stdout}\nslither: it did not finish")
    return {
        (each["check"], place(each["description"])): each["description"].strip()
        for each in found["results"].get("detectors", [])
    }


def place(description):
    """The first `Contract` or `Contract.function` that the description names."""
    named = re.search(r"([A-Za-z]\w*(?:\.\w+)?) ?\(", description)
    return named.group(1) if named else description


def answers():
    """The (detector, place) of every row, and the detectors that are answered everywhere."""
    text = ANSWERS.read_text()
    if SECTION not in text:
        sys.exit(f"slither: docs/security.md has no section '{SECTION}'")
    rows = re.findall(r"^\| (`.*?`) \| (.*?) \|", text.split(SECTION)[1].split("\n## ")[0], re.MULTILINE)
    pairs = {(detector, where) for cell, place in rows for detector in quoted(cell) for where in quoted(place) or [place]}
    everywhere = {detector for detector, where in pairs if where == "everywhere"}
    return {pair for pair in pairs if pair[0] not in everywhere}, everywhere


def quoted(cell):
    return re.findall(r"`([\w.-]+)`", cell)


def main():
    found = findings(sys.argv[1])
    answered, everywhere = answers()
    excluded = set(json.loads((CONTRACTS / "slither.config.json").read_text())["detectors_to_exclude"].split(","))
    faults = [f"not answered: {key[0]} at {key[1]}\n    {found[key]}" for key in sorted(found.keys() - answered)]
    faults += [f"answered but not found any more: {detector} at {where}" for detector, where in sorted(answered - found.keys())]
    faults += [f"answered everywhere or excluded, but not both: {each}" for each in sorted(everywhere ^ excluded)]
    for fault in faults:
        print(fault)
    print(f"slither: {len(found)} findings, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
