#!/usr/bin/env python3
"""Checks the licence of every crate in Cargo.lock's graph against the list in deny.toml. For machines without cargo-deny.

usage: licences.py [CARGO_TOML]
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

TOKEN = re.compile(r"\(|\)|[^\s()]+")


def allowed_by(expression, allow):
    """Evaluates an SPDX expression: `A OR B`, `A AND B`, `A WITH exception`, parentheses; `/` is the old form of OR."""
    tokens = TOKEN.findall(expression.replace("/", " OR "))
    at = 0

    def peek():
        return tokens[at] if at < len(tokens) else None

    def take():
        nonlocal at
        at += 1
        return tokens[at - 1]

    def either():
        holds = both()
        while peek() == "OR":
            take()
            holds = both() or holds
        return holds

    def both():
        holds = one()
        while peek() == "AND":
            take()
            holds = one() and holds
        return holds

    def one():
        if peek() == "(":
            take()
            holds = either()
            if take() != ")":
                raise ValueError(expression)
            return holds
        # Who may use the licence may use a later version of it.
        name = take().removesuffix("+")
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in allow

    holds = either()
    if at != len(tokens):
        raise ValueError(expression)
    return holds


def licence_of(package):
    """The declared licence, or Apache-2.0 where the crate brings that text instead of a name."""
    if package["license"] is None and package["license_file"] is not None:
        text = (Path(package["manifest_path"]).parent / package["license_file"]).read_text()
        if re.match(r"\s*Apache License\s+Version 2\.0, January 2004\s", text):
            return "Apache-2.0"
    return package["license"]


def main():
    with open("deny.toml", "rb") as file:
        rules = tomllib.load(file)
    allow = set(rules["licenses"]["allow"])
    # A banned crate may still be used by its `wrappers`, and by nothing else.
    banned = {entry["crate"]: set(entry.get("wrappers", [])) for entry in rules["bans"]["deny"]}
    manifest = sys.argv[1] if len(sys.argv) > 1 else "Cargo.toml"
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features", "--manifest-path", manifest]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    packages = metadata["packages"]
    names = {package["id"]: package["name"] for package in packages}
    users = {}
    for node in metadata["resolve"]["nodes"]:
        for used in node["dependencies"]:
            users.setdefault(used, set()).add(names[node["id"]])
    wrong = []
    for package in packages:
        name = f"{package['name']} {package['version']}"
        licence = licence_of(package)
        try:
            if licence is None or not allowed_by(licence, allow):
                wrong.append(f"{name}: licence `{licence}` is not in the list of deny.toml")
        except (ValueError, IndexError):
            wrong.append(f"{name}: `{licence}` is not an SPDX expression")
        if package["name"] in banned:
            allowed = banned[package["name"]]
            by = sorted(users.get(package["id"], set()) - allowed)
            if by or not allowed:
                wrong.append(f"{name}: banned by deny.toml" + (f", used by {', '.join(by)}" if by else ""))
        source = package["source"]
        if source is not None and not source.startswith("registry+"):
            wrong.append(f"{name}: comes from {source}, not from the registry")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(packages)} crates, {len(wrong)} not allowed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
