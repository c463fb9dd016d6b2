# What up, test and bench share: getting ready whatever they need. Sourced from the repository's root.

# Where nothing can be done about a missing thing, the scripts end with this (EX_UNAVAILABLE).
readonly CANNOT=69

say() { printf '%s\n' "$*"; }
cannot() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit "$CANNOT"; }
has() { command -v "$1" >/dev/null 2>&1; }

# install PACKAGE...: with apt, as root or by sudo without a password.
install() {
  has apt-get || cannot "$* is missing and there is no apt-get: install it and run this again"
  local as=()
  if [ "$(id -u)" != 0 ]; then
    has sudo && sudo -n true 2>/dev/null || cannot "$* is missing: run 'sudo apt-get install $*' and then this again"
    as=(sudo -n)
  fi
  say "installing $*"
  "${as[@]}" apt-get update -qq
  "${as[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need_rust() {
  [ -x "$HOME/.cargo/bin/cargo" ] && PATH="$HOME/.cargo/bin:$PATH"
  has cargo || cannot "cargo is missing: install rustup (Debian 12 and later: see its home page), then run this again"
  has cc || install build-essential
}

# The Solana machine of the tests links the system's OpenSSL.
need_openssl() { has pkg-config && pkg-config --exists openssl || install libssl-dev pkg-config; }

# sbf_tools: what programs/sbf builds with. Only Debian has these versions: elsewhere it fails, and the caller goes on without.
sbf_tools() {
  local packages
  mapfile -t packages <programs/sbf/packages
  programs/sbf/build.sh --tools >/dev/null 2>&1 \
    || { (install "${packages[@]}") && programs/sbf/build.sh --tools >/dev/null; }
}

need_node() {
  has node && has npm || install nodejs npm
  local version
  version=$(node --version)
  version=${version#v}
  [ "${version%%.*}" -ge 20 ] || cannot "node $version is too old: Node 20 or later is needed"
}

# The broker of the tests; Debian puts it where only root looks.
need_nats() { PATH="$PATH:/usr/sbin"; has nats-server || install nats-server; }

# need_chromium: exports CHROMIUM, the browser of the tests.
need_chromium() {
  [ -n "${CHROMIUM:-}" ] || has chromium || install chromium || cannot "chromium cannot be installed: set CHROMIUM to its path"
  export CHROMIUM="${CHROMIUM:-$(command -v chromium)}"
}

# need_promtool: sets PROMTOOL. Of Debian's package that one program is taken: installed, it would start a server. Elsewhere this
# fails, and the caller goes on without.
need_promtool() {
  PROMTOOL="${PROMTOOL:-$(command -v promtool)}"
  [ -z "$PROMTOOL" ] || return 0
  local folder="$HOME/.cache/earnest/prometheus"
  PROMTOOL="$folder/usr/bin/promtool"
  [ ! -x "$PROMTOOL" ] || return 0
  has apt-get && has dpkg-deb || return 1
  say "fetching promtool"
  rm -rf "$folder" && mkdir -p "$folder" || return 1
  (
    cd "$folder" || exit 1
    apt-get download -qq prometheus || { apt-get update -qq && apt-get download -qq prometheus; } || exit 1
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool && rm prometheus_*.deb
  ) >/dev/null 2>&1
  [ -x "$PROMTOOL" ]
}

need_python() { has python3 || install python3; }

# packages FOLDER: npm ci, unless the folder already has what its lock file says.
packages() {
  need_node
  local stamp="$1/node_modules/.installed" lock
  lock=$(cksum <"$1/package-lock.json")
  if [ "$(cat "$stamp" 2>/dev/null)" != "$lock" ]; then
    say "installing the packages of $1"
    (cd "$1" && npm ci --no-audit --no-fund --loglevel=error) || cannot "the packages of $1 cannot be installed"
    printf '%s\n' "$lock" >"$stamp"
  fi
}

# foundry: sets FORGE and exports EARNEST_ANVIL. npm has both for Linux on x86_64; elsewhere they must be named.
foundry() {
  packages contracts
  FORGE="${FORGE:-$PWD/contracts/node_modules/@foundry-rs/forge-linux-amd64/bin/forge}"
  export EARNEST_ANVIL="${EARNEST_ANVIL:-$PWD/contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil}"
  [ -x "$FORGE" ] && [ -x "$EARNEST_ANVIL" ] \
    || cannot "there is no forge at $FORGE or no anvil at $EARNEST_ANVIL: set FORGE and EARNEST_ANVIL to their paths"
}

# analysers: sets ANALYSERS to the folder of the programs that scripts/analysis/requirements.txt names.
analysers() {
  ANALYSERS="$HOME/.cache/earnest/venv/bin"
  programs "${ANALYSERS%/bin}" scripts/analysis/requirements.txt
}

# provers: sets PROVERS to the folder of the programs that scripts/analysis/proofs.txt names.
provers() {
  PROVERS="$HOME/.cache/earnest/provers/bin"
  programs "${PROVERS%/bin}" scripts/analysis/proofs.txt
}

# schemathesis: sets SCHEMATHESIS to the program that scripts/analysis/api.txt names.
schemathesis() {
  SCHEMATHESIS="$HOME/.cache/earnest/schemathesis/bin/schemathesis"
  programs "${SCHEMATHESIS%/bin/*}" scripts/analysis/api.txt
}

# programs VENV REQUIREMENTS: a venv of its own with exactly these Python packages.
programs() {
  local venv=$1 requirements=$2 wanted
  need_python
  wanted=$(cksum <"$requirements")
  [ "$(cat "$venv/.installed" 2>/dev/null)" != "$wanted" ] || return 0
  say "installing the programs of $requirements into $venv"
  python3 -c 'import ensurepip' 2>/dev/null || install python3-venv
  python3 -m venv --clear "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" \
    || cannot "the programs of $requirements cannot be installed into $venv"
  printf '%s\n' "$wanted" >"$venv/.installed"
}

target() { printf '%s' "${CARGO_TARGET_DIR:-$PWD/target}"; }

# a_port: a port on 127.0.0.1 that is free now.
a_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
