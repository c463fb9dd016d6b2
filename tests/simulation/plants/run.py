#!/usr/bin/env python3
"""Plants wrong rules in a copy of HEAD, and lets the simulation find them: tests/simulation/plants/run.py [NAME...]

plants.patch holds them all, each behind `planted("NAME")`, so that the copy is built once; EARNEST_PLANT says which one
is in force. The seed that found each, and by what, is written to results.json; the exit code is 0 when every one was found and
the copy without any is sound.
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
SEEDS = os.environ.get("EARNEST_SEEDS", "100")


def played(copy: pathlib.Path, plant: str) -> tuple[bool, list[str]]:
    environment = {**os.environ, "EARNEST_PLANT": plant, "EARNEST_SEEDS": SEEDS}
    command = ["cargo", "test", "--locked", "-p", "simulation", *os.environ.get("EARNEST_CARGO", "").split(), "--", "--nocapture", "nothing_is_lost"]
    run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    if not re.search(r"^test result: ", run.stdout, re.M):
        sys.exit(f"the copy does not build, or does not run:\n{run.stderr[-3000:]}")
    return run.returncode == 0, re.findall(r"^seed \d+: .*", run.stdout, re.M)


def main() -> int:
    names = sorted(set(re.findall(r'^\+.*planted\("([a-z-]+)"\)', (HERE / "plants.patch").read_text(), re.M)))
    wanted = sys.argv[1:] or names
    results, missed = [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", copy], input=archive, check=True)
        subprocess.run(["patch", "-p1", "--quiet", "-i", HERE / "plants.patch"], cwd=copy, check=True)
        sound, said = played(copy, "none")
        if not sound:
            sys.exit("the copy without a wrong rule fails:\n" + "\n".join(said))
        for name in wanted:
            sound, said = played(copy, name)
            print(f"{name}: {'NOT FOUND' if sound else said[0] if said else 'found'}", flush=True)
            if sound:
                missed.append(name)
            results.append({"plant": name, "seeds": int(SEEDS), "found_by": None if sound else (said or ["it stopped"])[0][:200]})
    if wanted == names:
        (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
