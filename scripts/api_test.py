#!/usr/bin/env python3
"""Puts the hub's OpenAPI description to the hub itself by Schemathesis:  scripts/api_test.py EARNEST SCHEMATHESIS [--long]

A market of `earnest up` is asked by nobody, by somebody with a token, and by its relayer: valid requests, near misses and what no route knows.
Nothing may answer 5xx, and every answer must be one that the description has: status, content type, headers, form of the body. Ids of things
that are there are taken from the hub, so that it is not only asked for what it does not have. Every operation of the description must have been
asked, and granted at least once (2xx) but for those that are listed with the reason why not. EARNEST is built with the feature `failpoints`, by
which its clock can be set ahead.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import urllib.error
import urllib.request

# All that Schemathesis knows, but that a request of the right form must be granted: most ids of the right form are of nothing.
CHECKS = ["--checks", "all", "--exclude-checks", "positive_data_acceptance"]
# Requests of each operation that are made up, beside those for each of its parameters.
SHORT, LONG = 12, 300
# The stream of events has no end that a request could wait for.
STREAM = "/v1/events"
NEVER = ["--exclude-path", STREAM]
# What Schemathesis reads before anything else, and asks no more.
DESCRIPTION = "/openapi.json"
START_WAIT = 300
# A proposal's window where the command line names none, and a minute.
WINDOW = 4 * 86_400 + 60
ANSWERS = pathlib.Path(__file__).resolve().parent / "analysis/api_answers.py"

SIGNED = "wants a body that somebody has signed"
SESSION = "wants a session, and a token is asked with"
# Operations that are refused whatever is made up, and why. The tests of the rooms have them granted.
REFUSED = {
    "POST /v1/records": SIGNED,
    "POST /v1/sessions": SIGNED,
    "POST /v1/presentations/verify": SIGNED,
    "GET /v1/tokens": SESSION,
    "POST /v1/tokens": SESSION,
    "DELETE /v1/tokens/{id}": SESSION,
    "DELETE /v1/sessions/current": SESSION,
    "POST /v1/credential-offers": "wants the id of a credential about the buyer's wallet",
    "POST /v1/openid/token": "wants the code of an offer",
    "POST /v1/openid/credential": "wants the token for such a code",
    "POST /v1/chain-events": "wants what a chain says",
    "POST /v1/intents/progress": "wants the key of an intent",
}


class Market:
    """`earnest up`, with both of its trades done."""

    def __init__(self, binary, folder):
        self.binary, self.data, self.log = binary, folder / "data", (folder / "up.log").open("w+")
        self.clock = folder / "clock"

    def __enter__(self):
        command = [self.binary, "up", "--data", self.data]
        environment = os.environ | {"EARNEST_CLOCK_AHEAD": str(self.clock)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env=environment
        )
        until = time.monotonic() + START_WAIT
        while not (self.data / "last-run.json").exists():
            if self.process.poll() is not None or time.monotonic() > until:
                self.__exit__()
                self.log.seek(0)
                sys.exit(f"api_test: the market does not start:\n{self.log.read()}")
            time.sleep(0.2)
        self.hub = tomllib.loads((self.data / "earnest.toml").read_text())["hub"]
        self.url = self.hub["public_url"]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)

    def passes(self, seconds):
        """Sets the services' clock ahead, and kills the hub, which is started again: only at its start it believes such a clock."""
        self.clock.write_text(str(seconds))
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                parent = (process / "stat").read_text().rsplit(") ", 1)[1].split()[1]
                verb = (process / "cmdline").read_text().split("\0")[1:2]
                if parent == str(self.process.pid) and verb == ["hub"]:
                    os.kill(int(process.name), signal.SIGKILL)
                    return
        sys.exit("api_test: the hub does not run")

    def until(self, path, token, holds):
        """Waits for an answer of which this holds; the hub may be away meanwhile."""
        until = time.monotonic() + START_WAIT
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                if holds(self.get(path, token)):
                    return
            time.sleep(0.2)
        sys.exit(f"api_test: {path} does not come to what it should be")

    def says(self, who, *arguments):
        """What the command line answers to somebody."""
        command = [self.binary, "--json", "--hub", self.url, "--data", self.data, "--as", who, *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)

    def get(self, path, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers)) as answer:
            return json.load(answer)


def quarrel(market, token):
    """A vote that is open, a grievance of the buyer's that is mediated, and one that is settled. Answers their ids."""
    community = market.get("/v1/communities", token)["items"][0]["id"]
    listing = market.get("/v1/listings", token)["items"][0]
    closes = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 4 * WINDOW))
    opening = ["proposal", "open", community, "Meet on Mondays", "--text", "At seven.", "--closes", closes]
    vote = market.says("buyer", *opening)["id"]
    for who, choice in [("buyer", "yes"), ("seller", "no"), ("seller", "abstain")]:
        market.says(who, "proposal", "vote", vote, choice)
    about = ["--about", listing["id"], "--against", listing["seller"]]
    grievance = market.says("buyer", "grievance", "file", community, "contribution", "The new chain broke", *about)["id"]
    market.says("steward", "grievance", "take", grievance)
    market.says("seller", "grievance", "evidence", grievance, "It was the right one.")
    market.says("steward", "grievance", "propose", grievance, "--rejected", "--reason", "A jury has decided it.")
    mine = ["--about", vote, "--against", market.get(f"/v1/proposals/{vote}", token)["author"]]
    other = market.says("seller", "grievance", "file", community, "contribution", "Mondays are taken", *mine)["id"]
    market.says("steward", "grievance", "take", other)
    proposal = market.says("steward", "grievance", "propose", other, "--upheld", "--reason", "So they are.")["id"]
    for who in ["seller", "buyer"]:
        market.says(who, "grievance", "accept", other, proposal)
    return vote, grievance, other


def decided_list(market, token):
    """A vote decides who is on the list of the community's pool: everybody stands, seven agree, and four days pass."""
    community = market.get("/v1/communities", token)["items"][0]["id"]
    pool = market.get("/v1/pools", token)["items"][0]
    people = ["steward", "buyer", "seller", *(f"juror-{number}" for number in range(1, 9))]
    for who in people:
        market.says(who, "community", "stand", community, market.says(who, "account", "show")["wallet"])
    effect = json.dumps({"pool_list": {"arbiter": pool["arbiter"], "panel": pool["panel"]}})
    proposal = market.says("steward", "proposal", "open", community, "Who sits on our juries", "--effect", effect)["id"]
    for who in people[:7]:
        market.says(who, "proposal", "vote", proposal, "yes")
    market.passes(WINDOW)
    market.until(f"/v1/proposals/{proposal}", token, lambda shown: shown["state"] == "executed")


def known(market, token):
    """{path: {parameter: value}} of what is there, so that an answer is more than that there is none."""

    def first(name, more=""):
        """The newest of a list of which there is more."""
        for one in market.get(f"/v1/{name}", token)["items"]:
            with contextlib.suppress(urllib.error.HTTPError):
                market.get(f"/v1/{name}/{one['id']}{more}", token)
                return one["id"]
        sys.exit(f"api_test: nothing answers at /v1/{name}/{{id}}{more}")

    vote, grievance, decided = quarrel(market, token)
    # The last of what people say: their own clocks are not set ahead.
    decided_list(market, token)
    pool = market.get("/v1/pools", token)["items"][0]
    of_pool = {"arbiter": pool["arbiter"], "panel": pool["panel"]}
    community, purchase, credential = first("communities"), first("purchases"), first("credentials")
    told = market.get(f"/v1/credentials/{credential}", token)
    buyer = market.get(f"/v1/purchases/{purchase}", token)["buyer"]
    return {
        "/v1/records/{id}": {"id": first("listings")},
        "/v1/accounts/{id}": {"id": buyer},
        "/v1/accounts/{id}/reputation": {"id": buyer},
        "/accounts/{id}/did.json": {"id": buyer},
        "/v1/listings/{id}": {"id": first("listings")},
        "/v1/communities/{id}": {"id": community},
        "/communities/{id}/did.json": {"id": community},
        "/v1/communities/{id}/members": {"id": community},
        "/v1/communities/{id}/candidacies": {"id": community},
        "/v1/communities/{id}/pools/{arbiter}/{panel}": {"id": community, **of_pool},
        "/v1/communities/{id}/pools/{arbiter}/{panel}/published": {"id": community, **of_pool},
        "/v1/communities/{id}/settings": {"id": community},
        "/v1/communities/{id}/treasury": {"id": community},
        "/v1/proposals/{id}": {"id": vote},
        "/v1/proposals/{id}/electors": {"id": vote},
        "/v1/proposals/{id}/ballots": {"id": vote},
        "/v1/grievances/{id}": {"id": grievance},
        "/v1/grievances/{id}/steps": {"id": grievance},
        "/v1/grievances/{id}/bundle": {"id": decided},
        "/v1/purchases/{id}": {"id": purchase},
        "/v1/purchases/{id}/transactions": {"id": purchase},
        "/v1/purchases/{id}/case": {"id": first("purchases", "/case")},
        "/v1/purchases/{id}/credentials": {"id": first("purchases", "/credentials")},
        "/v1/purchases/{id}/bundle": {"id": first("purchases", "/bundle")},
        "/v1/credentials/{id}": {"id": credential},
        "/v1/reputation/{subject}": {"subject": told["subject"]},
        "/v1/status/{purpose}/{list}": {"purpose": "revocation", "list": 0},
        "/v1/pools/{arbiter}/{panel}": of_pool,
    }


def settings(operations, where):
    """The configuration of Schemathesis that takes these parameters."""
    lines = []
    for path, parameters in operations.items():
        pairs = ", ".join(f"{json.dumps(f'{where}.{name}')} = {json.dumps(value)}" for name, value in parameters.items())
        lines += ["[[operations]]", f"include-path = {json.dumps(path)}", f"parameters = {{ {pairs} }}"]
    return "\n".join(lines) + "\n"


def operations_of(description, relayers):
    """`METHOD /path` of what is asked, the relayer's or everybody else's; both for none."""
    return {
        f"{method.upper()} {path}"
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if path not in (STREAM, DESCRIPTION) and relayers in (None, "relayer" in operation.get("tags", []))
    }


def answered(file):
    """{operation: statuses} of what was written down."""
    answers = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        status, operation = line.split(" ", 1)
        answers.setdefault(operation, set()).add(int(status))
    return answers


def hollow(who, wanted, answers):
    """How many of the operations that somebody should have asked were not."""
    missing = sorted(wanted - answers.keys())
    print(f"api: {who} asked {len(wanted) - len(missing)} of {len(wanted)} operations", flush=True)
    for operation in missing:
        print(f"api: FAILED: {who} did not ask {operation}", flush=True)
    return len(missing)


def ungranted(wanted, answers):
    """How many operations were granted to nobody and are not listed as refused, or are listed and not there."""
    failed = 0
    for operation in sorted(wanted):
        statuses = answers.get(operation, set())
        granted = any(200 <= status < 300 for status in statuses)
        if granted and operation in REFUSED:
            print(f"api: {operation} was granted, though it is listed as refused: {REFUSED[operation]}", flush=True)
        elif not granted and operation not in REFUSED:
            print(f"api: FAILED: {operation} was never granted, only {sorted(statuses)}", flush=True)
            failed += 1
    for operation in sorted(REFUSED.keys() - wanted):
        print(f"api: FAILED: {operation} is listed as refused, and the description has it not", flush=True)
        failed += 1
    return failed


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--long"]
    if len(arguments) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    binary, schemathesis = arguments
    examples = LONG if "--long" in sys.argv else SHORT
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        with Market(pathlib.Path(binary).absolute(), folder) as market:
            token = market.says("buyer", "token", "new", "api", "--scope", "read:all", "--scope", "write:all")["token"]
            operations = known(market, token)
            # Who may ask for intents need not wait for them.
            polls = {"/v1/intents": {"wait": 0}}
            bearer = lambda key: ["--header", f"Authorization: Bearer {key}"]
            passes = [
                ("nobody", None, {}, "path", NEVER),
                ("somebody", False, operations, "path", [*NEVER, "--exclude-tag", "relayer", *bearer(token)]),
                ("the relayer", True, polls, "query", ["--include-tag", "relayer", *bearer(market.hub["relayer_key"])]),
            ]
            description = market.get(DESCRIPTION)
            # In the folder where Schemathesis runs, which is where it looks for modules.
            shutil.copy(ANSWERS, folder)
            failed, all_answers = 0, {}
            for who, relayers, parameters, where, more in passes:
                (folder / "schemathesis.toml").write_text(settings(parameters, where))
                command = [
                    schemathesis, "--config-file", folder / "schemathesis.toml", "run", market.url + DESCRIPTION,
                    *CHECKS, "--max-examples", str(examples), "--seed", os.environ.get("EARNEST_SEED", "1"),
                    "--phases", "examples,coverage,fuzzing", "--continue-on-failure", "--no-color", "--warnings", "off",
                    "--request-timeout", "35", "--suppress-health-check", "all", "--generation-database", "none", *more,
                ]
                print(f"api: asked by {who}", flush=True)
                file = folder / "answers"
                file.unlink(missing_ok=True)
                told = {"SCHEMATHESIS_HOOKS": ANSWERS.stem, "EARNEST_API_ANSWERS": str(file)}
                done = subprocess.run([str(part) for part in command], cwd=folder, env=os.environ | told)
                failed += done.returncode != 0
                answers = answered(file)
                failed += hollow(who, operations_of(description, relayers), answers)
                for operation, statuses in answers.items():
                    all_answers.setdefault(operation, set()).update(statuses)
            failed += ungranted(operations_of(description, None), all_answers)
        return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
