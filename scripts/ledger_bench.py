"""The bench of the ledger: transfers among a thousand members by the posting function, one and 64 to a transaction, beside SQLite's
own ceiling (the rows that it left behind, written by prepared statements in as many commits, with the same durability) and beside a
function in PostgreSQL that does the same on the same server, with as many clients. Rounds take turns; what is shown is the median.

`tests/bench` does each side; here they are put together."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import release
from indexer_bench import Postgres

SQLITE_AIM, POSTGRES_AIM = 0.70, 0.80
CLIENTS = 8
BATCH = 64
ROUNDS = 5
# Transfers of a round, one to a transaction and in batches.
SINGLE, BATCHED = 5_000, 64_000


def figures():
    """`EARNEST_TRANSFERS` changes how many transfers a round has (one to a transaction; in batches eight times as many), and
    `EARNEST_ROUNDS` how many rounds there are."""
    binaries, _ = release.binaries()
    bench = binaries / "bench"
    single = int(os.environ.get("EARNEST_TRANSFERS", SINGLE))
    rounds = int(os.environ.get("EARNEST_ROUNDS", ROUNDS))
    batched = single * 8 if "EARNEST_TRANSFERS" in os.environ else BATCHED
    made = []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name, Postgres(pathlib.Path(name)) as postgres:
        folder = pathlib.Path(name)
        for name, count, batch in (("", single, 1), ("_batched", batched, BATCH)):
            sqlite = [in_sqlite(bench, folder, count, batch) for _ in range(rounds)]
            made += compared(f"sqlite{name}_vs_ceiling", sqlite, SQLITE_AIM, "SQLite by prepared statements")
            other = [in_postgres(bench, postgres, count, batch) for _ in range(rounds)]
            made += compared(f"postgres{name}_vs_function", other, POSTGRES_AIM, "a function in PostgreSQL")
    return made


def compared(name, rounds, aim, against):
    """The median of the rounds' ratios, of each side's transfers a second, and of what the parts of our transactions took."""
    ratio = statistics.median(ours["per_second"] / theirs["per_second"] for ours, theirs in rounds)
    ours, theirs = (statistics.median(one["per_second"] for one in side) for side in zip(*rounds))
    of = name.split("_vs_")[0]
    rate = {"name": f"{of}_per_second", "value": round(ours), "unit": "transfers/s", "aim": None}
    parts = [
        {
            "name": f"{of}_{part}",
            "value": round(statistics.median(ours["microseconds"][part] for ours, _ in rounds)),
            "unit": "µs a transaction",
            "aim": None,
        }
        for part in ("begin", "post", "commit")
    ]
    return [
        {"name": name, "value": round(ratio, 3), "unit": "", "aim": aim},
        rate | {"against": against, "against_value": round(theirs)},
        *parts,
    ]


def run(*command):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"bench: {command[1]} ended with {done.returncode}")
    return json.loads(done.stdout)


def in_sqlite(bench, folder, count, batch):
    sides = folder / "ours.sqlite", folder / "ceiling.sqlite"
    arguments = ["--operations", count, "--batch", batch]
    ours = run(bench, "ledger", "--url", f"sqlite:{sides[0]}", *arguments)
    ceiling = run(bench, "ledger-ceiling", "--from", sides[0], "--to", sides[1], "--batch", batch)
    for side in sides:
        for file in folder.glob(f"{side.name}*"):
            file.unlink()
    return ours, ceiling


def in_postgres(bench, postgres, count, batch):
    rates = []
    for side in ("ledger", "ledger-function"):
        url = postgres.fresh("ledger")
        arguments = ["--operations", count, "--batch", batch, "--clients", CLIENTS]
        rates.append(run(bench, side, "--url", url, *arguments))
        postgres.drop("ledger")
    return tuple(rates)


def above(made):
    """Whether a figure misses its aim: of these more is better."""
    return made["aim"] is not None and made["value"] < made["aim"]


def show(made):
    width = max(len(one["name"]) for one in made)
    for one in made:
        line = f"{one['name']:<{width}}  {one['value']:>10,} {one['unit']}"
        if one.get("against"):
            line += f"   ({one['against']}: {one['against_value']:,})"
        if one["aim"] is not None:
            line += f"   aim at least {one['aim']}{'   MISSED' if above(one) else ''}"
        print(line)
