"""The bench of the relayer: a thousand rulings arrive at ten a second over three signers, against blocks of two seconds; once in
fair weather, and once with `kill -9`, lost, late and repeated answers, jumps of the base fee and reorganisations.

`tests/rulings` does it and reports; here the report becomes figures.
"""

import json
import os
import pathlib
import subprocess
import sys

import release

ROOT = pathlib.Path(__file__).resolve().parent.parent
P99_BLOCKS_MAX = 6


def figures():
    """Both runs. `EARNEST_RULINGS` (1000) and `EARNEST_SEED` (1) change the number of rulings and the faults."""
    binaries, anvil = release.binaries()
    fair, chaos = measure(binaries, anvil, False), measure(binaries, anvil, True)
    blocks, seconds = fair["intent_to_final_blocks"], fair["intent_to_final_seconds"]
    ledger = fair["ledger"]
    made = [
        figure("rulings", fair["rulings"], "rulings"),
        figure("intent_to_final_p50_blocks", blocks["p50"], "blocks"),
        figure("intent_to_final_p99_blocks", blocks["p99"], "blocks", P99_BLOCKS_MAX),
        figure("intent_to_final_p50_seconds", round(seconds["p50"], 2), "s"),
        figure("intent_to_final_p99_seconds", round(seconds["p99"], 2), "s"),
        figure("gas_of_a_ruling", ledger["gas_each"], "gas"),
        figure("gas_overpaid", overpaid(ledger), "%"),
        figure("paid_in_vain", in_vain(ledger), "%"),
    ]
    for name, run in (("", fair), ("chaos_", chaos)):
        made.append(figure(f"{name}lost_intents", run["lost_intents"], "intents", 0))
        made.append(figure(f"{name}double_effects", run["ledger"]["double_effects"], "intents", 0))
    # A reorganisation may bring back what another transaction was signed for meanwhile: only fair weather has an aim.
    made += [
        figure("extra_transactions", ledger["extra_transactions"], "transactions", 0),
        figure("chaos_extra_transactions", chaos["ledger"]["extra_transactions"], "transactions"),
    ]
    happened = chaos["happened"]
    chaos_blocks = chaos["intent_to_final_blocks"]
    made += [
        figure("chaos_kills", happened["kills"], "kills"),
        figure("chaos_reorgs", happened["reorgs"], "reorganisations"),
        figure("chaos_dear_blocks", happened["dear_blocks"], "blocks"),
        figure("chaos_price_surprises", happened["surprises"], "spikes"),
        figure("chaos_replacements", chaos["replacements"], "transactions"),
        figure("chaos_faults", sum(chaos["node_faults"].values()) + sum(chaos["hub_faults"].values()), "requests"),
        figure("chaos_intent_to_final_p50_blocks", chaos_blocks["p50"], "blocks"),
        figure("chaos_intent_to_final_p99_blocks", chaos_blocks["p99"], "blocks"),
        figure("chaos_gas_overpaid", overpaid(chaos["ledger"]), "%"),
        figure("chaos_paid_in_vain", in_vain(chaos["ledger"]), "%"),
    ]
    return made


def overpaid(ledger):
    """What was paid above the base fee of each transaction's block, of what that would have come to."""
    return round(100 * (ledger["paid"] - ledger["at_base_fee"]) / ledger["at_base_fee"], 1)


def in_vain(ledger):
    """What was paid for transactions that reverted or did nothing that was asked for, of all that was paid."""
    return round(100 * ledger["in_vain"] / ledger["paid"], 2)


def above(made):
    """Whether a figure misses its aim: of these less is better."""
    return made["aim"] is not None and made["value"] > made["aim"]


def figure(name, value, unit, aim=None):
    return {"name": name, "value": value, "unit": unit, "aim": aim}


def measure(binaries, anvil, chaos):
    command = [f"{binaries}/rulings", "--earnest", f"{binaries}/earnest"]
    command += ["--count", os.environ.get("EARNEST_RULINGS", "1000"), "--seed", os.environ.get("EARNEST_SEED", "1")]
    environment = os.environ | {"EARNEST_ANVIL": anvil}
    run = subprocess.run(command + ["--chaos"] * chaos, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"bench: tests/rulings ended with {run.returncode}")
    report = json.loads(run.stdout)
    if chaos and not (report["happened"]["surprises"] and report["replacements"]):
        sys.exit("bench: no spike of the base fee met a transaction: take more rulings, or another seed")
    return report


def show(made):
    width = max(len(one["name"]) for one in made)
    for one in made:
        aim = "" if one["aim"] is None else f"   aim at most {one['aim']:,}"
        print(f"{one['name']:<{width}}  {one['value']:>12,} {one['unit']}{aim}{'   MISSED' if above(one) else ''}")
