"""The release binaries that benches run, and anvil: built as one selection, for each selection compiles anew what they share."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = """set -e
. scripts/prepare.sh
{ need_rust; foundry; cargo build --locked --release --package cli --package bench --package rulings --bins; } >&2
printf '%s\\n%s\\n' "$(target)/release" "$EARNEST_ANVIL"
"""


def binaries():
    """The folder with `earnest`, `bench` and `rulings`, and the path of anvil."""
    built = subprocess.run(["bash", "-c", BUILD], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(built.returncode)
    folder, anvil = built.stdout.splitlines()
    return pathlib.Path(folder), anvil
