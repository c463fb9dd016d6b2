"""Gas of the escrow's and the pools' transactions beside that of other escrows, all measured in one run by forge in the same
way: whole transactions as a wallet pays them, with every balance and allowance already there. For scripts/bench; by itself,
python3 scripts/gas.py, it checks that every committed snapshot has a figure."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
KLEROS, REQUEST = "kleros-v1", "request"
PEERS = {KLEROS: "Kleros v1", REQUEST: "Request"}

# Our snapshots, "file: name" of contracts/snapshots, with the figure's name, its aim in gas, and the peers' snapshots that
# do the same; where a peer needs several transactions they are added up.
FIGURES = {
    "escrow: coin: fund": ("native_fund", 61_000, {KLEROS: ["coin: fund"]}),
    "escrow: coin: fund by signature": ("native_fund_signature", None, {}),
    "escrow: coin: release, deleted": ("native_release", 41_000, {KLEROS: ["coin: release"]}),
    "escrow: coin: release, tombstone": ("native_release_before", None, {KLEROS: ["coin: release"]}),
    "escrow: coin: release, half": ("native_release_half", None, {}),
    "escrow: coin: release by signature": ("native_release_signature", None, {}),
    "escrow: coin: release to a payee that refuses, tombstone": ("native_release_credited", None, {}),
    "escrow: coin: refund": ("native_refund", None, {KLEROS: ["coin: refund"]}),
    "escrow: coin: refund, a quarter after half was released": ("native_refund_part", None, {}),
    "escrow: coin: refund by signature": ("native_refund_signature", None, {}),
    "escrow: coin: claim": ("native_claim", None, {KLEROS: ["coin: time out"]}),
    "escrow: coin: reclaim": ("native_reclaim", None, {}),
    "escrow: coin: lapse, split": ("native_lapse", None, {}),
    "escrow: coin: settle, split": ("native_settle", None, {}),
    "escrow: coin: settle, split, submitted by another": ("native_settle_relayer", None, {}),
    "escrow: coin: rule by an account, one payee": ("native_rule", None, {}),
    "escrow: coin: withdraw": ("native_withdraw", None, {}),
    "escrow: coin: withdraw by signature": ("native_withdraw_signature", None, {}),
    "escrow: deliver": ("deliver", None, {}),
    "escrow: deliver by signature": ("deliver_signature", None, {}),
    "escrow: dispute": (
        "native_dispute",
        40_000,
        {KLEROS: ["coin: dispute, first transaction", "coin: dispute, second transaction"]},
    ),
    "escrow: dispute by signature": ("native_dispute_signature", None, {}),
    "escrow: token: dispute": (
        "erc20_dispute",
        None,
        {KLEROS: ["token: dispute, first transaction", "token: dispute, second transaction"], REQUEST: ["token: dispute"]},
    ),
    "escrow: evidence": ("evidence", None, {KLEROS: ["evidence"]}),
    "escrow: evidence by signature": ("evidence_signature", None, {}),
    "escrow: revoke": ("revoke", None, {}),
    "escrow: token: fund by allowance": (
        "erc20_fund_allowance",
        None,
        {KLEROS: ["token: fund"], REQUEST: ["token: fund"]},
    ),
    "escrow: token: fund by signature": ("erc20_fund_signature", None, {}),
    "escrow: token: fund by signature, submitted by the seller": ("erc20_fund_signature_seller", None, {}),
    "escrow: token: release, deleted": (
        "erc20_release",
        47_000,
        {KLEROS: ["token: release"], REQUEST: ["token: release"]},
    ),
    "escrow: token: release, tombstone": (
        "erc20_release_before",
        None,
        {KLEROS: ["token: release"], REQUEST: ["token: release"]},
    ),
    "escrow: token: release by signature": ("erc20_release_signature", None, {}),
    "escrow: token: refund": ("erc20_refund", None, {KLEROS: ["token: refund"]}),
    "escrow: token: claim": ("erc20_claim", None, {KLEROS: ["token: time out"]}),
    "escrow: token: reclaim": ("erc20_reclaim", None, {}),
    "escrow: token: lapse, split": ("erc20_lapse", None, {}),
    "escrow: token: settle, split": ("erc20_settle", None, {}),
    "pools: open a case": ("native_open", 55_000, {}),
    "pools: draw a jury of three": ("native_draw", None, {}),
    # Theirs is one call of the court's owner, without a vote.
    "pools: coin: ruling of three ballots, one payee": ("native_ruling_3", 85_000, {KLEROS: ["coin: ruling"]}),
    "pools: coin: ruling of three ballots, split": ("native_ruling_3_split", None, {}),
    "pools: token: ruling of three ballots, one payee": ("erc20_ruling_3", None, {KLEROS: ["token: ruling"]}),
}

MEASURE = """
. scripts/prepare.sh
{ foundry; packages contracts/peers; } >&2
cd contracts
FOUNDRY_SNAPSHOTS="$1/ours" "$FORGE" test --isolate --match-contract GasTest >&2
FOUNDRY_PROFILE=peers FOUNDRY_SNAPSHOTS="$1/peers" "$FORGE" test --isolate >&2
"""


def snapshots(folder):
    """{"file: name": gas} of a folder that forge wrote."""
    return {
        f"{file.stem}: {name}": int(used)
        for file in sorted(folder.glob("*.json"))
        for name, used in json.loads(file.read_text()).items()
    }


def measure():
    """Ours and the peers', as `snapshots` gives them."""
    with tempfile.TemporaryDirectory() as made:
        done = subprocess.run(
            ["bash", "-euc", MEASURE, "bench", made], cwd=ROOT, env=os.environ | {"FORGE_SNAPSHOT_EMIT": "true"}
        )
        if done.returncode != 0:
            sys.exit(done.returncode)
        folder = pathlib.Path(made)
        return snapshots(folder / "ours"), snapshots(folder / "peers")


def faults_of_names(ours):
    """Where the table above and our snapshots do not have the same names."""
    faults = [f"no figure is named for the snapshot '{name}'" for name in sorted(ours.keys() - FIGURES.keys())]
    faults += [f"no test makes the snapshot '{name}'" for name in sorted(FIGURES.keys() - ours.keys())]
    return faults


def check_names(ours, theirs):
    """Ends the run where the table and the measurements do not have the same names."""
    used = {f"{peer}: {name}" for _, _, peers in FIGURES.values() for peer, names in peers.items() for name in names}
    faults = faults_of_names(ours)
    faults += [f"the peer's snapshot '{name}' is compared with nothing" for name in sorted(theirs.keys() - used)]
    faults += [f"no test makes the peer's snapshot '{name}'" for name in sorted(used - theirs.keys())]
    if faults:
        sys.exit("\n  ".join(["scripts/gas.py does not match the measurements:", *faults]))


def figures():
    """One figure for each row; `against` is the cheapest peer, `peers` has them all."""
    ours, theirs = measure()
    check_names(ours, theirs)
    made = []
    for snapshot, (name, aim, peers) in FIGURES.items():
        row = {"name": name, "value": ours[snapshot], "unit": "gas", "aim": aim}
        beside = {peer: sum(theirs[f"{peer}: {part}"] for part in parts) for peer, parts in peers.items()}
        if beside:
            best = min(beside, key=beside.get)
            row |= {"against": PEERS[best], "against_value": beside[best], "peers": beside}
        made.append(row)
    return made


def show(rows):
    """A table for people: ours, the aim, and each peer with ours as a share of it."""
    width = max(len(row["name"]) for row in rows)
    heads = "".join(f"{title:>12} {'ours/it':>8}" for title in PEERS.values())
    print(f"{'gas':<{width}} {'Earnest':>9} {'aim':>9}{heads}")
    for row in rows:
        aim = "" if row["aim"] is None else f"{row['aim']:,}"
        line = f"{row['name']:<{width}} {row['value']:>9,} {aim:>9}"
        for peer in PEERS:
            value = row.get("peers", {}).get(peer)
            line += f"{value:>12,} {row['value'] / value:>8.2f}" if value else f"{'-':>12} {'':>8}"
        if row["aim"] is not None and row["value"] > row["aim"]:
            line += "  above the aim"
        print(line.rstrip())
    print("Kleros's dispute brings the case before its court as well; ours does so with native_open. Its ruling holds no vote.")


if __name__ == "__main__":
    if faults := faults_of_names(snapshots(ROOT / "contracts/snapshots")):
        sys.exit("\n  ".join(["scripts/gas.py does not match contracts/snapshots:", *faults]))
