"""The hub's API: memory and start of a hub on a database with a million entries in its ledger, and one of its answers beside a bare
handler (`tests/bench/src/api.rs`) that does the same statements of SQL on a copy and writes the same bytes. What is measured and how
is in docs/benchmarks.md."""

import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import release
from indexer_bench import CACHE, ROOT, Process, a_port, missed, say, wait_for

IDLE_AIM_MB, START_AIM_MS = 50, 300
# Two to a transfer.
ENTRIES, BATCH = 1_000_000, 64
# A page from the middle of an account of about a thousand entries.
PAGE, LINES = "/v1/ledger/statement?after=100&limit=50", 50
STARTS, IDLE_S = 9, 5
ROUNDS, SECONDS, CLIENTS = 7, 5, 16
START_WAIT = 60


class Tools:
    """The programs, built or found."""

    def __init__(self):
        if "EARNEST_BENCH_BINARY" in os.environ and "EARNEST_BENCH_PARTS" in os.environ:
            self.earnest = pathlib.Path(os.environ["EARNEST_BENCH_BINARY"])
            self.bench = pathlib.Path(os.environ["EARNEST_BENCH_PARTS"])
        else:
            folder, _ = release.binaries()
            self.earnest, self.bench = folder / "earnest", folder / "bench"

    def part(self, *arguments):
        """Runs a part of tests/bench and answers what it said."""
        done = subprocess.run([str(part) for part in (self.bench, *arguments)], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"bench: `bench {arguments[0]}` ended with {done.returncode}")
        return json.loads(done.stdout)


class Hub(Process):
    """A hub on the database in a folder."""

    def __init__(self, tools, folder):
        self.address = f"127.0.0.1:{a_port()}"
        self.url = f"http://{self.address}"
        super().__init__([tools.earnest, "hub", "--config", configuration(folder, self.address)], folder / "hub.log")

    def ready(self):
        """Seconds from the start of the process until it says that it is ready."""
        while time.time_ns() - self.began < START_WAIT * 1e9:
            if self.process.poll() is not None:
                sys.exit(f"bench: the hub does not start: {self.log.read_text()}")
            connection = http.client.HTTPConnection(self.address, timeout=START_WAIT)
            with contextlib.closing(connection), contextlib.suppress(OSError):
                connection.request("GET", "/ready")
                if connection.getresponse().status == 200:
                    return (time.time_ns() - self.began) / 1e9
            time.sleep(0.001)
        sys.exit(f"bench: the hub is not ready after {START_WAIT} s: {self.log.read_text()}")

    def resident(self):
        """Resident memory now, in MB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


class Bare(Process):
    """The handler without a hub."""

    def __init__(self, tools, folder):
        self.address = f"127.0.0.1:{a_port()}"
        database = ["--database", f"sqlite:{folder}/hub.sqlite"]
        super().__init__([tools.bench, "api-bare", *database, "--listen", self.address], folder / "bare.log")


def configuration(folder, address):
    """No limits of how often, and credit for all; the public URL is another one, so that it is the same in every run."""
    keys = {
        "listen": address,
        "database": f"sqlite:{folder}/hub.sqlite",
        "data": str(folder / "data"),
        "public_url": "http://127.0.0.1:7401",
        "personhood": "open",
        "time_credit_limit": 10**15,
        "requests_per_account": 0,
        "requests_per_address": 0,
    }
    lines = ["[hub]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    # The chain that the member's wallet names. Nobody listens on port 1.
    lines += ["[hub.indexers]", '"eip155:31337" = "http://127.0.0.1:1"']
    file = folder / "earnest.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def kept(tools):
    """The folder with a hub's key and its database, made once for each schema."""
    schema = hashlib.sha256()
    for file in sorted((ROOT / "hub/migrations/sqlite").glob("*.sql")):
        schema.update(file.read_bytes())
    folder = CACHE / f"api-{ENTRIES}-{schema.hexdigest()[:12]}"
    if folder.exists():
        return folder
    say(f"making {ENTRIES:,} entries")
    unfinished = folder.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    with Hub(tools, unfinished) as hub:
        hub.ready()
        account = tools.part("api-member", "--hub", hub.url)["account"]
    (unfinished / "account").write_text(account)
    database = f"sqlite:{unfinished}/hub.sqlite"
    transfers = ["--operations", ENTRIES // 2, "--batch", BATCH, "--member", account]
    tools.part("ledger", "--url", database, *transfers)
    unfinished.rename(folder)
    return folder


def get(address, token):
    request = urllib.request.Request(f"http://{address}{PAGE}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


def begun(tools, folder):
    """Milliseconds of starts and megabytes of hubs that were asked nothing since. The first start does not count: it reads the file
    from the disk."""
    starts, idle = [], []
    for number in range(STARTS + 1):
        with Hub(tools, folder) as hub:
            ready = hub.ready() * 1000
            time.sleep(IDLE_S if number > 0 else 0)
            if number > 0:
                starts.append(ready)
                idle.append(hub.resident())
                say(f"start {number}: {ready:.0f} ms, {idle[-1]:.1f} MB; load {os.getloadavg()[0]:.1f}")
    return starts, idle


class Side:
    """One of those who are asked, and what came of it in each round."""

    def __init__(self, tools, name, process, token, answer):
        self.tools, self.name, self.process = tools, name, process
        self.ask = ["api-load", "--server", process.address, "--path", PAGE, "--token", token, "--answer", answer]
        self.ask += ["--clients", CLIENTS, "--seconds", seconds()]
        self.rates, self.processor = [], []

    def load(self):
        _, before = self.process.used()
        made = self.tools.part(*self.ask)
        _, after = self.process.used()
        self.rates.append(made["per_second"])
        self.processor.append((after - before) * 1e6 / made["requests"])
        told = f"p50 {made['p50_us']:,} µs, p99 {made['p99_us']:,} µs, {self.processor[-1]:.0f} µs of processor a request"
        say(f"  {self.name}: {made['per_second']:,.0f} a second, {told}; load {os.getloadavg()[0]:.1f}")

    def rate(self):
        """Of all rounds but the first."""
        return round(statistics.median(self.rates[2:]))


def asked(tools, folder):
    """Both sides, there and back in every round. The first round does not count."""
    account = (folder / "account").read_text()
    with Hub(tools, folder) as hub:
        hub.ready()
        token = tools.part("api-member", "--hub", hub.url, "--account", account)["token"]
    # Of a hub that has ended, so that the copy is whole, and has the session.
    copy = folder / "copy"
    copy.mkdir()
    shutil.copy(folder / "hub.sqlite", copy)
    with Hub(tools, folder) as hub, Bare(tools, copy) as bare:
        hub.ready()
        wait_for("the bare handler", lambda: get(bare.address, token))
        ours, theirs = get(hub.address, token), get(bare.address, token)
        if ours != theirs or len(json.loads(ours)["items"]) != LINES:
            sys.exit(f"bench: the answers are not the same {LINES} lines:\n{ours.decode()}\n{theirs.decode()}")
        answer = folder / "answer"
        answer.write_bytes(ours)
        sides = [Side(tools, "hub", hub, token, answer), Side(tools, "bare", bare, token, answer)]
        for number in range(rounds() + 1):
            say(f"round {number} of {rounds()}")
            order = sides if number % 2 == 0 else sides[::-1]
            for side in (*order, *order[::-1]):
                side.load()
    return sides


def rounds():
    return int(os.environ.get("EARNEST_BENCH_ROUNDS", ROUNDS))


def seconds():
    return int(os.environ.get("EARNEST_BENCH_SECONDS", SECONDS))


def spread(name, values, unit, digits, aim=None):
    """The median, with the least and the most."""
    least, middle, most = (round(made, digits or None) for made in (min(values), statistics.median(values), max(values)))
    return {"name": name, "value": middle, "unit": unit, "aim": aim, "least": least, "most": most, "rounds": len(values)}


def pairs(values):
    """The two runs of each round but the first."""
    return list(zip(values[2::2], values[3::2]))


def figures():
    """`EARNEST_BENCH_ROUNDS` and `EARNEST_BENCH_SECONDS` make it shorter; `EARNEST_BENCH_BINARY` and `EARNEST_BENCH_PARTS` name
    binaries that are built already."""
    tools = Tools()
    original = kept(tools)
    # On a disk, where a database lies.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name) / "hub"
        shutil.copytree(original, folder)
        starts, idle = begun(tools, folder)
        hub, bare = asked(tools, folder)
    ratios = [sum(ours) / sum(theirs) for ours, theirs in zip(pairs(hub.rates), pairs(bare.rates))]
    made = [
        spread("idle_rss_mb", idle, "MB", 1, IDLE_AIM_MB),
        spread("start_ms", starts, "ms", 0, START_AIM_MS),
        spread("requests_vs_bare_axum", ratios, "ratio", 3)
        | {"ours_per_second": hub.rate(), "against": "bare axum", "against_value": bare.rate()},
        # What the machine does by itself between two runs of the same.
        spread("bare_axum_vs_itself", [one / other for one, other in pairs(bare.rates)], "ratio", 3),
        spread("processor_us_per_request", hub.processor[2:], "µs", 0)
        | {"against": "bare axum", "against_value": round(statistics.median(bare.processor[2:]))},
    ]
    say(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    return made


def show(rows):
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        line = f"{row['name']:<{width}} {row['value']:>9,} {row['unit']:<5}"
        if row["aim"] is not None:
            line += f" aim {row['aim']:>4}{' MISSED' if missed(row) else ''}"
        line += f"   {row['least']} – {row['most']} in {row['rounds']}"
        if "ours_per_second" in row:
            line += f"; {row['ours_per_second']:,} a second"
        if "against" in row:
            line += f" against {row['against_value']:,} of {row['against']}"
        print(line)
