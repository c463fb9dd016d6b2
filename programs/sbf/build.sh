#!/usr/bin/env bash
# Builds a Solana program to SBPF v0 with the distribution's Rust and LLVM: see README.md.
#
#   build.sh PROGRAM_CRATE_DIR [extra cargo arguments]
#   build.sh --tools    the versions of what it builds with, a line each
#
# Ends with 69 when one of them is missing.
# Output: $CARGO_TARGET_DIR/sbf/release/lib<name>.so (default: in the target directory of the crate's workspace).
# Tools and the patched standard library are kept in $SBF_CACHE (default: ~/.cache/earnest/sbf).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
llvm=/usr/lib/llvm-22
rust_src=/usr/src/rustc-1.96.0/library
cache=${SBF_CACHE:-$HOME/.cache/earnest/sbf}

missing() { echo "build.sh: $*; install: $(tr '\n' ' ' <"$here/packages")" >&2; exit 69; }
for need in /usr/bin/rustc /usr/bin/cargo "$llvm/bin/llc" "$llvm/bin/clang" "$rust_src"; do
  [ -e "$need" ] || missing "$need is missing"
done
/usr/bin/rustc --version | grep -q '^rustc 1\.96\.' || missing "/usr/bin/rustc is not 1.96"
if [ "${1:-}" = --tools ]; then
  /usr/bin/rustc --version
  echo "LLVM $("$llvm/bin/llvm-config" --version)"
  exit
fi

program=$(cd "${1:?usage: build.sh PROGRAM_CRATE_DIR}" && pwd -P)
shift
if [ -n "${CARGO_TARGET_DIR:-}" ]; then
  mkdir -p "$CARGO_TARGET_DIR"
  CARGO_TARGET_DIR=$(cd "$CARGO_TARGET_DIR" && pwd -P)
  export CARGO_TARGET_DIR
fi

mkdir -p "$cache/bin"
exec 9>"$cache/lock"
flock 9

# The linker tool, rebuilt when its sources change.
stamp=$(cat "$here"/sbf-ld/Cargo.{toml,lock} "$here"/sbf-ld/src/*.rs | sha256sum | cut -c1-16)
linker=$cache/bin/sbf-ld-$stamp
if [ ! -x "$linker" ]; then
  (cd "$here/sbf-ld" && PATH=$llvm/bin:$PATH LLVM_SYS_221_PREFIX=$llvm CARGO_TARGET_DIR="$cache/sbf-ld" \
    RUSTFLAGS='' RUSTC_WRAPPER='' cargo build --release --locked)
  rm -f "$cache"/bin/sbf-ld-*
  cp "$cache/sbf-ld/release/sbf-ld" "$linker.new"
  mv "$linker.new" "$linker"
fi

# The helpers that it calls. At -O1, for -O2 makes a 128-bit multiplication of the very function that replaces one.
compile=("$llvm/bin/clang" -target bpfel -mcpu=v2 -O1 -ffreestanding -fno-builtin -fno-strict-aliasing
  -fomit-frame-pointer -c -emit-llvm rt.c)
runtime=$cache/bin/rt-$({ cat "$here/rt.c"; echo "${compile[@]}"; "${compile[0]}" --version; } | sha256sum | cut -c1-16).bc
if [ ! -e "$runtime" ]; then
  rm -f "$cache"/bin/rt-*
  (cd "$here" && "${compile[@]}" -o "$runtime.new")
  mv "$runtime.new" "$runtime"
fi

# The standard library with Solana support, renewed when the patch changes.
stdlib=$cache/std-$(sha256sum <"$here/patch_std.py" | cut -c1-16)/library
if [ ! -d "$stdlib" ]; then
  rm -rf "$cache"/std-* "$cache/std.new"
  mkdir -p "$cache/std.new" "${stdlib%/library}"
  cp -r "$rust_src" "$cache/std.new/library"
  python3 "$here/patch_std.py" "$cache/std.new/library"
  mv "$cache/std.new/library" "$stdlib"
  rm -rf "$cache/std.new"
fi
flock -u 9

# The whole profile, from here alone: in the workspace's Cargo.toml `panic = "abort"` would let one panic kill a service,
# and what stands there for services must not reach the program.
export CARGO_PROFILE_RELEASE_OPT_LEVEL=3 CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1
export CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS=true
export CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=false
export CARGO_PROFILE_RELEASE_STRIP=none CARGO_PROFILE_RELEASE_INCREMENTAL=false

# No directory of this machine may reach the output: panic messages hold source paths.
cargo_home=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$cargo_home"
cargo_home=$(cd "$cargo_home" && pwd -P)
root=$(cd "$program" && dirname "$(/usr/bin/cargo locate-project --workspace --message-format plain)")
remap=(
  "--remap-path-prefix=$root=/program"
  "--remap-path-prefix=$cargo_home/registry/src=/registry"
  "--remap-path-prefix=$cargo_home/git/checkouts=/git"
  "--remap-path-prefix=$stdlib=/std"
  "--remap-path-prefix=${CARGO_TARGET_DIR:-$root/target}=/target"
)
SBF_REMAP=$(IFS=$'\x1f'; echo "${remap[*]}")
export SBF_REMAP RUSTC_WRAPPER=$here/rustc-wrapper.sh
unset RUSTC_WORKSPACE_WRAPPER RUSTUP_TOOLCHAIN CARGO_ENCODED_RUSTFLAGS

# The machine has no vector instructions.
export RUSTFLAGS='-Cno-vectorize-loops -Cno-vectorize-slp'
export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 RUSTC_BOOTSTRAP_SYNTHETIC_TARGET=1
export __CARGO_TESTS_ONLY_SRC_ROOT=$stdlib
export CARGO_TARGET_SBF_LINKER=$here/sbf-link.sh SBF_LD=$linker SBF_RUNTIME=$runtime SBF_LLVM=$llvm/bin

cd "$program"
exec /usr/bin/cargo build --release --locked "$@" \
  -Z json-target-spec -Z build-std=std,panic_abort -Z build-std-features=optimize_for_size \
  --target "$here/sbf.json"
