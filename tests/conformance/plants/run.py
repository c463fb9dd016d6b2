#!/usr/bin/env python3
"""Plants a wrong rule in a copy of the sources, builds it, and lets the suite find it: tests/conformance/plants/run.py

Each patch in contracts/ and program/ is one wrong rule. The copy is of HEAD. What found each is written to results.json;
the exit code is 0 when every one was found. FORGE names forge; the Solana program is built with programs/sbf/build.sh, whose
plants are left out, and said so, where its packages are missing.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
FORGE = os.environ.get("FORGE", ROOT / "contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], text=True, capture_output=True, **options)


def must(*command, **options):
    done = run(*command, **options)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout


def test_binaries():
    """The suite's tests by name, built as they stand in the working tree."""
    told = must("cargo", "test", "--locked", "--package", "conformance", "--no-run", "--message-format=json", cwd=ROOT)
    messages = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    made = [one for one in messages if one.get("executable") and one["target"]["kind"] == ["test"]]
    return {one["target"]["name"]: one["executable"] for one in made}


def build_contracts(copy):
    (copy / "contracts/node_modules").symlink_to(ROOT / "contracts/node_modules")
    must(FORGE, "build", "--skip", "test", "--skip", "interop", cwd=copy / "contracts")
    return {"EARNEST_CONTRACTS_OUT": str(copy / "contracts/out")}


def build_program(copy):
    # One folder for all plants: what they do not change stays built.
    target = TARGET / "plants"
    must(copy / "programs/sbf/build.sh", "programs/earnest", "--quiet", cwd=copy, env={**os.environ, "CARGO_TARGET_DIR": str(target)})
    return {"EARNEST_PROGRAM_SO": str(target / "sbf/release/libearnest_program.so")}


# What finds a plant, the quicker first: the tests of that kind of chain by a part of their names.
KINDS = {
    "contracts": (build_contracts, [("vectors", "on_the_contracts"), ("deals", "and_contract_"), ("cases", "and_contract_")]),
    "program": (build_program, [("vectors", "on_the_program"), ("deals", "and_program_"), ("cases", "and_program_")]),
}


def find(searches, binaries, environment):
    """Which tests fail, and the first difference that each tells."""
    found = {}
    for binary, test in searches:
        done = run(binaries[binary], test, cwd=HERE.parent, env={**os.environ, **environment, "RUST_BACKTRACE": "0"})
        if done.returncode:
            told = done.stdout + done.stderr
            # A vector's name and step, or the step of a history.
            differences = re.findall(r"^(\S.*, step \d+:.*|step \d+:.*)$", told, re.MULTILINE)
            found[binary] = (differences or told.splitlines()[-1:])[0][:160]
        if found and binary == "vectors":
            break
    return found


def main():
    binaries = test_binaries()
    results, missed = [], 0
    for kind, (build, searches) in KINDS.items():
        if kind == "program" and run(ROOT / "programs/sbf/build.sh", "--tools").returncode == 69:
            print("not built: this machine lacks the packages of programs/sbf/packages")
            continue
        for patch in sorted((HERE / kind).glob("*.patch")):
            with tempfile.TemporaryDirectory() as scratch:
                copy = pathlib.Path(scratch)
                must("sh", "-c", f"git -C '{ROOT}' archive HEAD | tar -x -C '{copy}'")
                must("git", "apply", patch, cwd=copy)
                found = find(searches, binaries, build(copy))
            missed += not found
            print(f"{kind}/{patch.stem}: {found or 'NOT FOUND'}", flush=True)
            results.append({"plant": f"{kind}/{patch.stem}", "found_by": found})
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"{len(results) - missed} of {len(results)} plants found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
