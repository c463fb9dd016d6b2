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
# The selection of scripts/test, so that nothing is compiled twice.
SELECTION = ["--locked", "--workspace", "--features", "cli/failpoints,relayer/aws-kms", "--test", "worlds"]
# For all worlds of one wrong rule, or of none.
TIME_MAX_S = int(os.environ.get("EARNEST_TIME_MAX_S", "1200"))


def built(copy: pathlib.Path) -> str:
    command = ["cargo", "test", "--no-run", "--message-format", "json-render-diagnostics", *SELECTION]
    run = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit("the copy does not build")
    binaries = [json.loads(line).get("executable") for line in run.stdout.splitlines()]
    return next(binary for binary in binaries if binary)


def played(binary: str, plant: str) -> tuple[str, list[str]]:
    """Whether every world was "sound", one "failed", or they were "late", and what those that were not sound had to say."""
    environment = {**os.environ, "EARNEST_PLANT": plant, "EARNEST_SEEDS": SEEDS, "EARNEST_UNTIL_FAILED": "1"}
    command = [binary, "--nocapture", "nothing_is_lost"]
    try:
        run = subprocess.run(command, env=environment, capture_output=True, timeout=TIME_MAX_S)
        output, ended = run.stdout, "sound" if run.returncode == 0 else "failed"
    except subprocess.TimeoutExpired as late:
        output, ended = late.stdout or b"", "late"
    said = re.findall(r"^(?:test .*\.\.\. )?(seed \d+: .*)", output.decode(errors="replace"), re.M)
    return "failed" if said else ended, said


def main() -> int:
    names = sorted(set(re.findall(r'^\+.*planted\("([a-z-]+)"\)', (HERE / "plants.patch").read_text(), re.M)))
    wanted = sys.argv[1:] or names
    results, missed = [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", copy], input=archive, check=True)
        subprocess.run(["patch", "-p1", "--quiet", "-i", HERE / "plants.patch"], cwd=copy, check=True)
        binary = built(copy)
        ended, said = played(binary, "none")
        if ended != "sound":
            sys.exit(f"the copy without a wrong rule is not sound, but {ended}:\n" + "\n".join(said))
        for name in wanted:
            ended, said = played(binary, name)
            found = (said or ["it stopped"])[0][:200] if ended == "failed" else None
            print(f"{name}: {found or f'NOT FOUND, {ended}'}", flush=True)
            if found is None:
                missed.append(name)
            results.append({"plant": name, "seeds": int(SEEDS), "found_by": found})
    if wanted == names:
        (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
