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

# The figure's name, our snapshots ("file: name" of contracts/snapshots), the aim in gas, and the peers' snapshots that do the
# same; where it takes several transactions they are added up.
FIGURES = [
    ("native_fund", ["escrow: coin: fund"], 61_000, {KLEROS: ["coin: fund"]}),
    ("native_fund_signature", ["escrow: coin: fund by signature"], None, {}),
    ("native_fund_batch_of_3", ["escrow: coin: fund three in a batch"], None, {}),
    ("native_release", ["escrow: coin: release, deleted"], 41_000, {KLEROS: ["coin: release"]}),
    ("native_release_before", ["escrow: coin: release, tombstone"], None, {KLEROS: ["coin: release"]}),
    ("native_release_half", ["escrow: coin: release, half"], None, {}),
    ("native_release_signature", ["escrow: coin: release by signature"], None, {}),
    ("native_release_credited", ["escrow: coin: release to a payee that refuses, tombstone"], None, {}),
    ("native_refund", ["escrow: coin: refund"], None, {KLEROS: ["coin: refund"]}),
    ("native_refund_part", ["escrow: coin: refund, a quarter after half was released"], None, {}),
    ("native_refund_signature", ["escrow: coin: refund by signature"], None, {}),
    ("native_claim", ["escrow: coin: claim"], None, {KLEROS: ["coin: time out"]}),
    ("native_reclaim", ["escrow: coin: reclaim"], None, {}),
    ("native_lapse", ["escrow: coin: lapse, split"], None, {}),
    ("native_settle", ["escrow: coin: settle, split"], None, {}),
    ("native_settle_relayer", ["escrow: coin: settle, split, submitted by another"], None, {}),
    ("native_rule", ["escrow: coin: rule by an account, one payee"], None, {}),
    ("native_withdraw", ["escrow: coin: withdraw"], None, {}),
    ("native_withdraw_signature", ["escrow: coin: withdraw by signature"], None, {}),
    (
        "native_dispute",
        ["escrow: dispute"],
        40_000,
        {KLEROS: ["coin: dispute, first transaction", "coin: dispute, second transaction"]},
    ),
    ("native_dispute_signature", ["escrow: dispute by signature"], None, {}),
    ("native_open", ["pools: open a case"], 55_000, {}),
    ("native_draw", ["pools: draw a jury of three"], None, {}),
    # Theirs is one call of the court's owner, without a vote.
    ("native_ruling_3", ["pools: coin: ruling of three ballots, one payee"], 85_000, {KLEROS: ["coin: ruling"]}),
    ("native_ruling_3_split", ["pools: coin: ruling of three ballots, split"], None, {}),
    ("erc20_fund_3009", ["escrow: token: fund by ERC-3009, submitted by the seller"], 106_000, {}),
    ("erc20_fund_3009_relayer", ["escrow: token: fund by ERC-3009, submitted by another"], None, {}),
    ("erc20_fund_allowance", ["escrow: token: fund by allowance"], None, {KLEROS: ["token: fund"], REQUEST: ["token: fund"]}),
    ("erc20_fund_signature", ["escrow: token: fund by signature, submitted by the seller"], None, {}),
    ("erc20_fund_signature_relayer", ["escrow: token: fund by signature"], None, {}),
    ("erc20_fund_permit2", ["escrow: token: fund by Permit2, submitted by the seller"], None, {}),
    ("erc20_fund_permit2_relayer", ["escrow: token: fund by Permit2, submitted by another"], None, {}),
    ("erc20_fund_permit", ["escrow: token: fund by permit in a batch, submitted by the seller"], None, {}),
    ("erc20_fund_permit_relayer", ["escrow: token: fund by permit in a batch, submitted by another"], None, {}),
    ("erc20_release", ["escrow: token: release, deleted"], 47_000, {KLEROS: ["token: release"], REQUEST: ["token: release"]}),
    (
        "erc20_release_before",
        ["escrow: token: release, tombstone"],
        None,
        {KLEROS: ["token: release"], REQUEST: ["token: release"]},
    ),
    ("erc20_release_signature", ["escrow: token: release by signature"], None, {}),
    ("erc20_refund", ["escrow: token: refund"], None, {KLEROS: ["token: refund"]}),
    ("erc20_claim", ["escrow: token: claim"], None, {KLEROS: ["token: time out"]}),
    ("erc20_reclaim", ["escrow: token: reclaim"], None, {}),
    ("erc20_lapse", ["escrow: token: lapse, split"], None, {}),
    ("erc20_settle", ["escrow: token: settle, split"], None, {}),
    ("erc20_withdraw", ["escrow: token: withdraw"], None, {}),
    ("erc20_withdraw_signature", ["escrow: token: withdraw by signature"], None, {}),
    (
        "erc20_dispute",
        ["escrow: token: dispute"],
        None,
        {KLEROS: ["token: dispute, first transaction", "token: dispute, second transaction"], REQUEST: ["token: dispute"]},
    ),
    ("erc20_ruling_3", ["pools: token: ruling of three ballots, one payee"], None, {KLEROS: ["token: ruling"]}),
    ("deliver", ["escrow: deliver"], None, {}),
    ("deliver_signature", ["escrow: deliver by signature"], None, {}),
    ("evidence", ["escrow: evidence"], None, {KLEROS: ["evidence"]}),
    ("evidence_signature", ["escrow: evidence by signature"], None, {}),
    ("retract", ["escrow: retract"], None, {}),
    ("revoke", ["escrow: revoke"], None, {}),
    ("create_pool", ["pools: create a pool"], None, {}),
    ("publish_list", ["pools: store a page of 100 members", "pools: publish a list of 100 members"], None, {}),
    ("publish_list_1200", ["pools: store a page of 1,200 members", "pools: publish a list of 1,200 members"], None, {}),
    ("cast", ["pools: cast one ballot that decides nothing"], None, {}),
    ("submit_1", ["pools: submit one ballot that decides nothing"], None, {}),
    ("ruling_2_appealable", ["pools: ruling of two ballots, appealable"], None, {}),
    ("open_second_jury", ["pools: open a second jury"], None, {}),
    ("draw_second_jury", ["pools: draw a second jury of three"], None, {}),
    ("conclude", ["pools: conclude after one ballot, appealable"], None, {}),
    ("appeal", ["pools: appeal"], None, {}),
    ("appeal_signature", ["pools: appeal by signature"], None, {}),
    ("appeal_draw_5", ["pools: draw a jury of five after an appeal"], None, {}),
    ("appeal_ruling_3", ["pools: coin: ruling of three ballots of five after an appeal, one payee"], None, {}),
    ("native_execute", ["pools: coin: execute a ruling, one payee"], None, {}),
]

MEASURE = """
. scripts/prepare.sh
{ foundry; packages contracts/peers; } >&2
cd contracts
FOUNDRY_PROFILE=gas FOUNDRY_SNAPSHOTS="$1/ours" "$FORGE" test --isolate >&2
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


def differences(needed, made, whose):
    """Where the table above and the snapshots do not have the same names."""
    faults = [f"no figure is named for {whose} snapshot '{name}'" for name in sorted(made.keys() - needed)]
    return faults + [f"no test makes {whose} snapshot '{name}'" for name in sorted(needed - made.keys())]


def ours_needed():
    return {snapshot for _, parts, _, _ in FIGURES for snapshot in parts}


def peers_needed():
    return {f"{peer}: {part}" for _, _, _, peers in FIGURES for peer, parts in peers.items() for part in parts}


def figures():
    """One figure for each row; `against` is the cheapest peer, `peers` has them all."""
    ours, theirs = measure()
    end_on(differences(ours_needed(), ours, "our") + differences(peers_needed(), theirs, "the peers'"))
    made = []
    for name, parts, aim, peers in FIGURES:
        row = {"name": name, "value": sum(ours[part] for part in parts), "unit": "gas", "aim": aim}
        beside = {peer: sum(theirs[f"{peer}: {part}"] for part in parts) for peer, parts in peers.items()}
        if beside:
            best = min(beside, key=beside.get)
            row |= {"against": PEERS[best], "against_value": beside[best], "peers": beside}
        made.append(row)
    return made


def end_on(faults):
    if faults:
        sys.exit("\n  ".join(["scripts/gas.py does not match what was measured:", *faults]))


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
    end_on(differences(ours_needed(), snapshots(ROOT / "contracts/snapshots"), "our"))
