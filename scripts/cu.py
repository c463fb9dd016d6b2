"""Compute units and bytes of the Solana program's transactions, in their usual forms: for scripts/bench. By the machine in
tests/svm, on the committed program, so nothing is estimated and nothing varies from run to run."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs/compute-units.md"

# Compute units of the whole transaction.
AIMS = {"sol_fund": 22_000, "sol_release": 10_000, "sol_dispute": 12_000, "ballot": 11_000}

HEAD = """# Compute units
What the Solana program's transactions cost and how large they are, by `./scripts/bench cu`, which writes this page. A transaction may have 1,400,000 units (200,000 for an instruction where none are asked for) and
1,232 bytes. Figures are of whole transactions with legacy messages, paid by who signs first, without an instruction for a priority fee (which takes some 45 bytes). An Ed25519 signature costs a fee and no
units; the units of a signed form are those of finding it.

The machine is exact. What varies is the search for addresses, 1,500 units a try, with the keys and salts in hand: a figure with a range is the median of 32 trades of other people each, the others are of one trade.

`_signed`: a party signed and somebody else sends; `_approved`: it approved on chain. `ballot` is one signed ballot that decides nothing; a ruling pays both parties in the same transaction.

| transaction | units | range | aim | bytes | room |
|---|---|---|---|---|---|
"""


def measure():
    command = ["cargo", "run", "--locked", "--quiet", "--package", "svm", "--bin", "compute-units"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return [json.loads(line) for line in done.stdout.splitlines()]


def figures():
    """Compute units with their range and bytes; then how many ballots a transaction has room for."""
    made = []
    for row in measure():
        name = row["name"]
        if "count" in row:
            made.append({"name": name, "value": row["count"], "unit": "ballots", "aim": None})
            continue
        extra = {key: row[key] for key in ("least", "most", "bytes", "headroom")}
        made.append({"name": name, "value": row["units"], "unit": "CU", "aim": AIMS.get(name)} | extra)
    missing = AIMS.keys() - {row["name"] for row in made}
    if missing:
        sys.exit(f"scripts/cu.py has aims for figures that nobody measures: {', '.join(sorted(missing))}")
    TABLE.write_text(page(made))
    return made


def page(rows):
    lines = []
    for row in rows:
        if row["unit"] != "CU":
            continue
        spread = f"{row['least']:,} – {row['most']:,}" if row["least"] != row["most"] else ""
        aim = f"{row['aim']:,}" if row["aim"] else ""
        lines.append(f"| {row['name']} | {row['value']:,} | {spread} | {aim} | {row['bytes']:,} | {row['headroom']:,} |")
    counts = [f"- {row['name']}: {row['value']} {row['unit']}" for row in rows if row["unit"] != "CU"]
    return HEAD + "\n".join([*lines, "", "## Ballots that fit one transaction", *counts]) + "\n"


def show(rows):
    width = max(len(row["name"]) for row in rows)
    print(f"{'':<{width}} {'CU':>9} {'aim':>8} {'least':>9} {'most':>9} {'bytes':>6} {'room':>6}")
    for row in rows:
        if row["unit"] != "CU":
            print(f"{row['name']:<{width}} {row['value']:>9,} {row['unit']}")
            continue
        aim = "" if row["aim"] is None else f"{row['aim']:,}"
        line = f"{row['name']:<{width}} {row['value']:>9,} {aim:>8} {row['least']:>9,} {row['most']:>9,}"
        line += f" {row['bytes']:>6,} {row['headroom']:>6,}"
        print(line + ("  above the aim" if above(row) else ""))


def above(row):
    return row["aim"] is not None and row["value"] > row["aim"]
