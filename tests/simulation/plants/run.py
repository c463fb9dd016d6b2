#!/usr/bin/env python3
"""Plants wrong rules in a copy of HEAD, and lets the simulation find them: tests/simulation/plants/run.py [--binary FILE] [NAME...]

plants.patch holds them all, each behind `planted("NAME")`, so that the copy is built once; EARNEST_PLANT says which one
is in force. --binary takes what was built before from such a copy:

    git clone -q . COPY && cd COPY && patch -p1 -i tests/simulation/plants/plants.patch && cargo test --no-run ... --test worlds

Where the copy is built here, CARGO_TARGET_DIR says where what is built stays. What came of each is written to results.json as it
comes: in how many worlds, from the first seed on, it was found, and by what. Without names those are passed over that stand
there already, of the same code; named ones are played anew. The exit code is 0 when every one was found and the copy without any
is sound.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
PATCH, RESULTS = HERE / "plants.patch", HERE / "results.json"
# Of what results are.
CODE = ["Cargo.lock", "indexer", "relayer", "protocol", "tests/machine", "tests/simulation/src", "tests/simulation/tests", str(PATCH)]
FIRST = int(os.environ.get("EARNEST_FIRST_SEED", "1"))
SEEDS = int(os.environ.get("EARNEST_SEEDS", "400"))
# The selection of scripts/test, so that nothing is compiled twice.
SELECTION = ["--locked", "--workspace", "--exclude=artefacts", "--features", "cli/failpoints,relayer/aws-kms", "--test", "worlds"]
# For all worlds of one wrong rule, or of none.
TIME_MAX_S = int(os.environ.get("EARNEST_TIME_MAX_S", "3600"))


def git(*command: str) -> bytes:
    return subprocess.run(["git", *command], cwd=ROOT, check=True, capture_output=True).stdout


def built(copy: str) -> str:
    """The test of a copy of HEAD with all wrong rules."""
    subprocess.run(["tar", "-x", "-C", copy], input=git("archive", "HEAD"), check=True)
    subprocess.run(["patch", "-p1", "--quiet", "-i", PATCH], cwd=copy, check=True)
    command = ["cargo", "test", "--no-run", "--message-format", "json-render-diagnostics", *SELECTION]
    run = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit("the copy does not build")
    messages = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    binary = next(one["executable"] for one in messages if one.get("executable") and one["target"]["name"] == "worlds")
    print(f"built {binary}", flush=True)
    return binary


def played(binary: str, plant: str) -> dict:
    """What came of the worlds: every one is "sound", one "failed", or they were "late"."""
    environment = {**os.environ, "EARNEST_PLANT": plant, "EARNEST_UNTIL_FAILED": "1"}
    environment |= {"EARNEST_FIRST_SEED": str(FIRST), "EARNEST_SEEDS": str(SEEDS)}
    environment.pop("EARNEST_SEED", None)
    command = [binary, "--nocapture", "nothing_is_lost"]
    try:
        run = subprocess.run(command, env=environment, capture_output=True, timeout=TIME_MAX_S)
        output, errors, ended = run.stdout, run.stderr, "sound" if run.returncode == 0 else "failed"
    except subprocess.TimeoutExpired as late:
        output, errors, ended = late.stdout or b"", b"", "late"
    output, errors = output.decode(errors="replace"), errors.decode(errors="replace")
    said = [(int(seed), words) for seed, words in re.findall(r"(?:^|\.\.\. )seed (\d+): (.*)", output, re.M)]
    if not said and ended == "sound" and not re.search(rf"^{SEEDS} seeds, ", output, re.M):
        sys.exit(f"{binary} did not play {SEEDS} worlds:\n{output[-1000:]}{errors[-1000:]}")
    came = {"plant": plant, "first_seed": FIRST, "seeds": SEEDS, "ended": "failed" if said else ended, "worlds": None, "found_by": None}
    if said:
        # Seeds are begun in their order, and one that is begun is played to its end.
        seed = min(seed for seed, _ in said)
        came["worlds"] = seed - FIRST + 1
        came["found_by"] = next(f"seed {seed}: {words}"[:200] for one, words in said if one == seed)
    elif ended == "failed":
        # No rule of the oracle said so: a world came to no end.
        panics = re.findall(r"panicked at [^\n]*\n[^\n]*", errors)
        came["found_by"] = f"it stopped: {panics[0] if panics else errors[-200:]}"[:300]
    elif ended == "sound":
        came["worlds"] = SEEDS
    return came


def line(came: dict) -> str:
    found, worlds = came["found_by"], came["worlds"]
    if found is not None:
        return f"{came['plant']}: found in {worlds if worlds is not None else 'an unknown number of'} worlds, {found}"
    return f"{came['plant']}: " + (f"sound in {worlds} worlds" if came["ended"] == "sound" else f"no end within {TIME_MAX_S} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", metavar="FILE", help="the test `worlds` of a copy with plants.patch, built before")
    parser.add_argument("names", metavar="NAME", nargs="*", help="wrong rules; all of them where none is named")
    arguments = parser.parse_args()
    names = sorted(set(re.findall(r'^\+.*planted\("([a-z-]+)"\)', PATCH.read_text(), re.M)))
    if unknown := set(arguments.names) - set(names):
        sys.exit(f"no such plant: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    # What is not committed yet is of no code that has a name.
    code = git("log", "-1", "--format=%h", "--", *CODE).decode().strip() + "+" * bool(git("status", "--porcelain", "--", PATCH))
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    results = {came["plant"]: came for came in kept if came["code"] == code and "+" not in code}
    wanted = ["none", *(arguments.names or names)]
    of = {"first_seed": FIRST, "seeds": SEEDS}.items()
    there = {name for name, came in results.items() if came["ended"] != "late" and of <= came.items()}
    binary = arguments.binary and str(pathlib.Path(arguments.binary).resolve())
    with tempfile.TemporaryDirectory() as copy:
        for name in wanted:
            if name not in there or name in arguments.names:
                binary = binary or built(copy)
                results[name] = {**played(binary, name), "code": code}
                ordered = sorted(results.values(), key=lambda came: (came["plant"] != "none", came["plant"]))
                RESULTS.write_text(json.dumps(ordered, indent=2) + "\n")
            print(line(results[name]), flush=True)
            if name == "none" and results[name]["ended"] != "sound":
                sys.exit("the copy without a wrong rule is not sound")
    return 1 if any(results[name]["ended"] != "failed" for name in wanted[1:]) else 0


if __name__ == "__main__":
    sys.exit(main())
