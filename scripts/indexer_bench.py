"""The indexer beside its peers and its limits, on one corpus and one machine, in one run: for scripts/bench. The protocol and
the figures of a whole run are in docs/benchmarks.md."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import release

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ROOT / "tests/bench"
CACHE = pathlib.Path(os.environ.get("EARNEST_BENCH", pathlib.Path.home() / ".cache/earnest/bench"))

SEED = 1
# Events, events a block, and rounds. An event of D1 costs whoever asks for blocks ten times the requests of D10; with as
# many events as D10 it would take anvil half a day to make, which hashes the whole storage anew for every block.
CORPORA = {"D10": (100_000, 10, 7), "D1": (20_000, 1, 3)}
# How many times ponder is given the node's URL, and in how many rounds it takes part.
PONDER_URLS, PONDER_ROUNDS = 8, 3
LIVE_POLL_MS, LIVE_BLOCKS, LIVE_PACE_MS = 100, 2_000, 200
# What a re-index writes, and in how many commits (indexer/src/reindex.rs).
REINDEXED, REINDEX_COMMITS = ("events", "states"), 1
# What a backfill leaves behind, and events of one commit (indexer/src/chain/evm/backfill.rs).
BACKFILLED, EVENTS_A_COMMIT = ("logs", "events", "feed", "states"), 1_500
RSS_AIM_MB, LIVE_AIM_MS = 60, 20
# The corpus that is also read from far away, and how far: chosen, not those of a provider.
FAR_CORPUS, FAR = "D10", ["--delay-ms", 50, "--bytes-per-second", 12_500_000]


def say(text):
    print(text, file=sys.stderr, flush=True)


def a_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(url, method, *params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["result"]


def wait_for(what, ready, seconds=120):
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        with contextlib.suppress(OSError, urllib.error.URLError):
            if ready():
                return
        time.sleep(0.02)
    sys.exit(f"bench: {what} is not there after {seconds} s")


class Process:
    """A process of the bench with its output in a file; it gets a signal and is waited for at the end."""

    def __init__(self, command, log, env=None, cwd=None, stop=signal.SIGTERM):
        self.log, self.stop = log, stop
        self.began = time.time_ns()
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=out, env=os.environ | (env or {}), cwd=cwd
            )

    def used(self):
        """Peak of resident memory in MB, and seconds of processor time, so far."""
        here = pathlib.Path(f"/proc/{self.process.pid}")
        peak = int(re.search(r"VmHWM:\s+(\d+)", (here / "status").read_text())[1]) / 1024
        fields = (here / "stat").read_text().rsplit(")", 1)[1].split()
        return peak, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(self.stop)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Tools:
    """The programs, built or found."""

    def __init__(self):
        if "EARNEST_BENCH_BINARY" in os.environ and "EARNEST_BENCH_PARTS" in os.environ:
            npm = ROOT / "contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
            self.anvil = os.environ.get("EARNEST_ANVIL", npm)
            self.earnest = pathlib.Path(os.environ["EARNEST_BENCH_BINARY"])
            self.bench = pathlib.Path(os.environ["EARNEST_BENCH_PARTS"])
        else:
            folder, self.anvil = release.binaries()
            self.earnest, self.bench = folder / "earnest", folder / "bench"
        self.ponder = CACHE / "ponder"
        self.install_ponder()

    def part(self, *arguments):
        """Runs a part of tests/bench and answers what it said."""
        done = subprocess.run([self.bench, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"bench: `bench {' '.join(map(str, arguments))}` ended with {done.returncode}")
        return json.loads(done.stdout)

    def install_ponder(self):
        lock = (PARTS / "ponder/package-lock.json").read_text()
        stamp = self.ponder / "node_modules/.installed"
        shutil.copytree(PARTS / "ponder", self.ponder, dirs_exist_ok=True)
        if not stamp.exists() or stamp.read_text() != lock:
            say("installing ponder")
            # Not `npm ci`: it wants the lock file to name rollup's packages for every other platform, which npm left out.
            npm = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"]
            subprocess.run(npm, cwd=self.ponder, check=True)
            stamp.write_text(lock)


class Postgres:
    """A server of the bench's own, as it comes: fsync and synchronous commit on."""

    def __init__(self, folder):
        binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        if not binaries:
            sys.exit("bench: PostgreSQL is missing: apt-get install postgresql")
        self.bin, self.folder, self.port = binaries[-1], folder / "postgres", a_port()
        self.folder.mkdir()
        folder.chmod(0o755)
        self.as_server = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self.as_server:
            shutil.chown(self.folder, "postgres")
        self.run("initdb", "--pgdata", self.folder / "data", "--username", "earnest", "--auth", "trust", "-E", "UTF8")
        options = f"-p {self.port} -k {self.folder} -h 127.0.0.1 -c fsync=on -c synchronous_commit=on"
        self.control("--log", self.folder / "log", "--wait", "--options", options, "start")

    def run(self, program, *arguments):
        command = [*self.as_server, self.bin / program, *map(str, arguments)]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL)

    def control(self, *arguments):
        self.run("pg_ctl", "--pgdata", self.folder / "data", *arguments)

    def fresh(self, name):
        self.drop(name)
        self.run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "earnest", name)
        return f"postgres://earnest@127.0.0.1:{self.port}/{name}"

    def drop(self, name):
        arguments = ["-h", "127.0.0.1", "-p", self.port, "-U", "earnest", "--if-exists", "--force", name]
        self.run("dropdb", *arguments)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.control("--mode", "immediate", "stop")


class Anvil(Process):
    """A node; with a corpus or empty, and mining nothing by itself."""

    def __init__(self, tools, folder, *arguments):
        self.port = a_port()
        self.url, self.keys = f"http://127.0.0.1:{self.port}", folder / f"anvil-{self.port}.keys"
        flags = ["--port", self.port, "--no-mining", "--slots-in-an-epoch", 1, "--prune-history", "--order", "fifo"]
        command = [tools.anvil, *flags, "--config-out", self.keys, *arguments]
        super().__init__(command, folder / f"anvil-{self.port}.log", stop=signal.SIGINT)
        wait_for("anvil", lambda: ask(self.url, "eth_chainId"))


def corpus(tools, name):
    """The corpus's oracle and state; generated when it is not there, and kept."""
    events, density, _ = CORPORA[name]
    state, oracle = CACHE / f"{name}.json", CACHE / f"{name}.oracle"
    if oracle.exists():
        known = json.loads(oracle.read_text())
        if (known["events"], known["density"], known["seed"]) == (events, density, SEED):
            return known, state
    say(f"generating {name}: once, and kept in {CACHE}")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        # A time of its own, so that the chain is the same on every day.
        with Anvil(tools, folder, "--timestamp", 1_790_000_000, "--dump-state", state, "--state-interval", 86_400) as node:
            ask(node.url, "anvil_setBlockTimestampInterval", 1)
            numbers = ["--events", events, "--density", density, "--seed", SEED]
            known = tools.part("generate", "--rpc", node.url, "--config", node.keys, *numbers)
            node.process.send_signal(signal.SIGINT)
            node.process.wait()
    slim(state)
    oracle.write_text(json.dumps(known))
    return known, state


def slim(state):
    """Call traces are nine tenths of what anvil dumps; nobody asks for them."""
    dump = json.loads(state.read_text())
    for transaction in dump["transactions"]:
        transaction["info"]["traces"] = []
    state.write_text(json.dumps(dump, separators=(",", ":")))


def gate(tools, oracle, subject, database, of):
    """A run counts only if the subject has the very rows that the oracle wants."""
    found = tools.part("rows", "--database", database, "--of", of)
    if (found["events"], found["hash"]) != (oracle["events"], oracle["hash"]):
        sys.exit(f"bench: {subject} has {found['events']} rows of {oracle['events']}, hash {found['hash']}")


class Bench:
    """One corpus on one node, and the subjects that read it."""

    def __init__(self, tools, folder, postgres, name):
        self.tools, self.folder, self.postgres, self.name = tools, folder, postgres, name
        self.oracle, state = corpus(tools, name)
        self.node = Anvil(tools, folder, "--load-state", state)
        wait_for("the corpus", lambda: int(ask(self.node.url, "eth_blockNumber"), 16) == self.oracle["head"])
        self.far = name == FAR_CORPUS
        self.runs, self.replayed = {}, {}

    def last_row(self, table, chain):
        last, index = self.oracle["last_block"], self.oracle["density"] - 1
        return f"SELECT COUNT(*) FROM {table} WHERE {chain} AND block_number = {last} AND log_index = {index}"

    def gate(self, subject, database, of):
        gate(self.tools, self.oracle, subject, database, of)

    def note(self, subject, seconds, peak=None, processor=None):
        used = "" if peak is None else f", {peak:.0f} MB, {processor:.2f} s of processor"
        say(f"  {self.name} {subject}: {seconds:.3f} s{used}; load {os.getloadavg()[0]:.1f}")
        self.runs.setdefault(subject, []).append((seconds, peak, processor))

    def until(self, process, database, query):
        """Seconds from the start of the process until an independent reader sees the last row."""
        seen = self.tools.part("watch", "--database", database, "--query", query, "--at-least", 1)
        peak, processor = process.used()
        self.window = ["--since", process.began, "--until", seen["at"]]
        return (seen["at"] - process.began) / 1e9, peak, processor

    def earnest(self, subject, database, rpc=None):
        config = configuration(self.folder, database, rpc or self.node.url, self.oracle)
        log = self.folder / "earnest.log"
        # One chain, the first of its database.
        query = self.last_row("logs", "chain IN (0, 1) AND canonical = 1")
        with Process([self.tools.earnest, "indexer", "run", "--config", config], log) as process:
            made = self.until(process, database, query)
        self.gate(subject, database, "earnest")
        return made

    def earnest_sqlite(self):
        remove(self.folder / "earnest.sqlite")
        self.note("earnest_sqlite", *self.earnest("earnest_sqlite", f"sqlite:{self.folder}/earnest.sqlite"))

    def earnest_postgres(self):
        self.note("earnest_postgres", *self.earnest("earnest_postgres", self.postgres.fresh("earnest")))
        self.postgres.drop("earnest")

    @contextlib.contextmanager
    def proxy(self, file, *more):
        """The URL of the node by a proxy that writes down what is asked."""
        port = a_port()
        url = f"http://127.0.0.1:{port}"
        command = [self.tools.bench, "record", "--rpc", self.node.url, "--listen", f"127.0.0.1:{port}", "--file", file]
        with Process([*command, *more], self.folder / "record.log"):
            wait_for("the proxy", lambda: ask(url, "eth_chainId"))
            yield url

    def record(self, name, *more):
        """A first run, which does not count: its requests, up to the last row, are what the null fetcher sends."""
        remove(self.folder / "earnest.sqlite")
        file = self.folder / name
        with self.proxy(file, *more) as url:
            self.earnest("the recording", f"sqlite:{self.folder}/earnest.sqlite", url)
        return ["--file", file, *self.window]

    def replay(self, subject, url, recorded):
        began = time.time_ns()
        replayed = self.tools.part("null", "--rpc", url, *recorded)
        self.note(subject, (time.time_ns() - began) / 1e9)
        self.replayed[subject] = replayed

    def null(self):
        self.replay("null", self.node.url, self.recorded)

    def null_far(self):
        with self.proxy(self.folder / "asked", *FAR) as url:
            self.replay("null_far", url, self.recorded_far)

    def earnest_far(self):
        file = self.folder / "far.sqlite"
        remove(file)
        with self.proxy(self.folder / "asked", *FAR) as url:
            self.note("earnest_far", *self.earnest("earnest_far", f"sqlite:{file}", url))

    def naive(self):
        file = self.folder / "naive.sqlite"
        remove(file)
        blocks = ["--first", 1, "--last", self.oracle["last_block"]]
        # A commit for as many events as ours at most.
        blocks += ["--range", EVENTS_A_COMMIT // self.oracle["density"]]
        began = time.time_ns()
        self.tools.part("naive", "--rpc", self.node.url, "--escrow", self.oracle["escrow"], "--file", file, *blocks)
        self.note("naive", (time.time_ns() - began) / 1e9)
        self.gate("naive", f"sqlite:{file}", "table")

    def ponder(self):
        database = self.postgres.fresh("ponder")
        env = {
            "DATABASE_URL": database,
            "BENCH_ABI": str(ROOT / "protocol/abi/Escrow.json"),
            "BENCH_RPC": ",".join(f"{self.node.url}/?{n}" for n in range(PONDER_URLS)),
            "BENCH_ESCROW": self.oracle["escrow"],
            "BENCH_START": "1",
            "PONDER_TELEMETRY_DISABLED": "1",
            "NODE_ENV": "production",
        }
        command = ["node", self.tools.ponder / "node_modules/ponder/dist/esm/bin/ponder.js", "start"]
        flags = ["--schema", "public", "--port", a_port(), "--hostname", "127.0.0.1"]
        log = self.folder / "ponder.log"
        with Process([*command, *flags], log, env=env, cwd=self.tools.ponder, stop=signal.SIGKILL) as process:
            self.note("ponder", *self.until(process, database, self.last_row("event", "chain = 31337")))
        self.gate("ponder", database, "table")
        self.postgres.drop("ponder")

    def reindex(self):
        """Of a database that was just read from the chain."""
        config = configuration(self.folder, f"sqlite:{self.folder}/earnest.sqlite", self.node.url, self.oracle)
        began = time.time_ns()
        command = [self.tools.earnest, "indexer", "reindex", "--config", config]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.note("reindex", (time.time_ns() - began) / 1e9)
        self.gate("reindex", f"sqlite:{self.folder}/earnest.sqlite", "earnest")

    def insert(self, subject, *arguments):
        file = self.folder / "ceiling.sqlite"
        remove(file)
        made = self.tools.part("ceiling", "--from", self.folder / "earnest.sqlite", "--to", file, *arguments)
        self.note(subject, made["seconds"])
        remove(file)

    def ceiling(self):
        self.insert("ceiling", "--commits", REINDEX_COMMITS, "--tables", *REINDEXED)

    def backfill_ceiling(self):
        commits = self.oracle["events"] // EVENTS_A_COMMIT
        self.insert("backfill_ceiling", "--indexed", "--commits", commits, "--tables", *BACKFILLED)

    def rounds(self):
        self.recorded = self.record("requests")
        if self.far:
            self.recorded_far = self.record("requests_far", *FAR)
        for number in range(rounds_of(self.name)):
            order = [self.null, self.earnest_sqlite, self.earnest_postgres, self.naive]
            order += [self.null_far, self.earnest_far] if self.far else []
            # It takes longer than all others together, and is as steady as they are.
            order += [self.ponder] if number < ponder_rounds() else []
            stored = [self.reindex, self.ceiling, self.backfill_ceiling]
            say(f"{self.name}, round {number + 1}")
            # There and back, so that what drifts in a round weighs on nobody; a re-index needs a database of this round.
            for part in (order + stored) if number % 2 == 0 else (order[::-1] + stored[::-1]):
                part()

    def seconds(self, subject):
        return [run[0] for run in self.runs[subject]]

    def ratio(self, name, ours, theirs, aim=None):
        """How many times as fast as theirs ours is, round by round."""
        shares = [their / our for our, their in zip(self.seconds(ours), self.seconds(theirs))]
        made = {"name": name, "value": round(statistics.median(shares), 3), "unit": "ratio", "aim": aim}
        made |= {"least": round(min(shares), 3), "most": round(max(shares), 3), "rounds": len(shares)}
        medians = [round(statistics.median(self.seconds(subject)), 3) for subject in (ours, theirs)]
        return made | {"ours_seconds": medians[0], "against": theirs, "against_value": medians[1]}


def rounds_of(name):
    return int(os.environ.get("EARNEST_BENCH_ROUNDS", CORPORA[name][2]))


def ponder_rounds():
    return int(os.environ.get("EARNEST_BENCH_PONDER_ROUNDS", PONDER_ROUNDS))


def remove(file):
    for path in (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")):
        path.unlink(missing_ok=True)


def configuration(folder, database, rpc, oracle, **more):
    """Everything as it comes but what names this chain."""
    keys = {"rpc_urls": [rpc], "contracts": [oracle["escrow"], oracle["pools"]], "start_block": 1} | more
    lines = ["[indexer]", f'listen = "127.0.0.1:{a_port()}"', f'database = "{database}"']
    lines += ['[indexer.chains."eip155:31337"]', *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    file = folder / "earnest.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def live(tools, folder):
    """Latency from a block to its row, at a steady pace."""
    file = folder / "live.sqlite"
    database = f"sqlite:{file}"
    with Anvil(tools, folder) as node:
        command = [tools.bench, "live", "--rpc", node.url, "--config", node.keys, "--database", database]
        command += ["--query", "SELECT COUNT(*) FROM logs", "--blocks", live_blocks(), "--pace-ms", LIVE_PACE_MS]
        with subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as mining:
            contracts = json.loads(mining.stderr.readline())
            config = configuration(folder, database, node.url, contracts, poll_ms=LIVE_POLL_MS)
            with Process([tools.earnest, "indexer", "run", "--config", config], folder / "live.log") as process:
                out, error = mining.communicate()
                peak, _ = process.used()
        if mining.returncode != 0:
            sys.exit(f"bench: the live part ended with {mining.returncode}: {error}")
    made = json.loads(out)
    gate(tools, made, "live", database, "earnest")
    return made | {"peak_mb": peak}


def live_blocks():
    return int(os.environ.get("EARNEST_BENCH_LIVE", LIVE_BLOCKS))


def figures():
    """Those with an aim first; then the same for the other density and the other database."""
    tools = Tools()
    wanted = os.environ.get("EARNEST_BENCH_CORPORA", ",".join(CORPORA)).split(",")
    made, peaks, loads = [], [], [os.getloadavg()[0]]
    # On a disk, where a commit costs what it costs, and where the user that PostgreSQL runs as may go.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        folder = pathlib.Path(folder)
        with Postgres(folder) as postgres:
            for name in wanted:
                bench = Bench(tools, folder, postgres, name)
                with bench.node:
                    bench.rounds()
                tail = "" if name == wanted[0] else f"_{name.lower()}"
                made.append(bench.ratio("backfill_vs_null_fetcher" + tail, "earnest_sqlite", "null", 0.8))
                if bench.far:
                    made.append(bench.ratio("backfill_vs_null_fetcher_far" + tail, "earnest_far", "null_far", 0.8))
                made += [
                    # Both on the same PostgreSQL.
                    bench.ratio("backfill_vs_ponder" + tail, "earnest_postgres", "ponder", 10),
                    bench.ratio("reindex_vs_sqlite_ceiling" + tail, "reindex", "ceiling", 0.6),
                    bench.ratio("backfill_vs_sqlite_ceiling" + tail, "earnest_sqlite", "backfill_ceiling"),
                    bench.ratio("backfill_vs_naive" + tail, "earnest_sqlite", "naive"),
                    bench.ratio("backfill_postgres_vs_null_fetcher" + tail, "earnest_postgres", "null"),
                    bench.ratio("backfill_sqlite_vs_ponder" + tail, "earnest_sqlite", "ponder"),
                ]
                for subject, replayed in bench.replayed.items():
                    say(f"{name}: {subject} sends {json.dumps(replayed)}")
                ours = [subject for subject in bench.runs if subject.startswith("earnest_")]
                peaks += [run[1] for subject in ours for run in bench.runs[subject]]
                loads.append(os.getloadavg()[0])
        latency = live(tools, folder)
        say(f"live: {json.dumps(latency)}")
    over = round(latency["p99_ms"] - LIVE_POLL_MS, 1)
    row = {"name": "live_p99_over_poll_ms", "value": over, "unit": "ms", "aim": LIVE_AIM_MS}
    made.append(row | {key: latency[key] for key in ("p50_ms", "p99_ms", "max_ms", "blocks")})
    peak = round(max([*peaks, latency["peak_mb"]]), 1)
    made.append({"name": "rss_mb", "value": peak, "unit": "MB", "aim": RSS_AIM_MB})
    say(f"load average from {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} processors")
    return made


def missed(row):
    """Whether a figure misses its aim: of ratios more is better, of milliseconds and megabytes less."""
    if row["aim"] is None:
        return False
    return row["value"] < row["aim"] if row["unit"] == "ratio" else row["value"] > row["aim"]


def show(rows):
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        line = f"{row['name']:<{width}} {row['value']:>9,} {row['unit']:<5}"
        if row["aim"] is not None:
            line += f" aim {row['aim']:>4}{' MISSED' if missed(row) else ''}"
        if "least" in row:
            line += f"   {row['least']} – {row['most']} in {row['rounds']} rounds; {row['ours_seconds']} s"
            line += f" against {row['against_value']} s of {row['against']}"
        print(line)
