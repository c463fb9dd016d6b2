#!/usr/bin/env bash
# Linker of the target in sbf.json: bitcode objects and rlibs in, SBPF v0 shared object out.
# Called by rustc with what build.sh exports. SBF_KEEP=DIR keeps the intermediate files.
set -euo pipefail

llvm=${SBF_LLVM:?set by build.sh} sbf_ld=${SBF_LD:?set by build.sh} runtime=${SBF_RUNTIME:?set by build.sh}

objects=() rlibs=() out=
while [ $# -gt 0 ]; do
  case "$1" in
    -o) out=$2; shift 2 ;;
    -L | --cpu | --export-symbols | --cpu-features) shift 2 ;;
    *.rlib) rlibs+=("$1"); shift ;;
    *.o) objects+=("$1"); shift ;;
    *) shift ;;
  esac
done

# Some dependencies declare themselves shared libraries too; nobody uses those.
if [ -z "${CARGO_PRIMARY_PACKAGE:-}" ]; then
  : >"$out"
  exit
fi

if [ -n "${SBF_KEEP:-}" ]; then
  work=$SBF_KEEP; mkdir -p "$work"
else
  work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
fi

# All bitcode, in the order given; rlibs also hold metadata, which is left out.
inputs=()
add() { if [ "$(head -c2 "$1")" = BC ]; then inputs+=("$1"); fi; }
for o in "${objects[@]}"; do add "$o"; done
n=0
for r in "${rlibs[@]}"; do
  n=$((n + 1)); mkdir -p "$work/$n"
  (cd "$work/$n" && "$llvm/llvm-ar" x "$r")
  for o in "$work/$n"/*.o; do if [ -e "$o" ]; then add "$o"; fi; done
done

# Library functions that `sbf-ld legalize` may call: kept until then. Anchor's rent is computed with f64.
float=__adddf3,__subdf3,__muldf3,__divdf3,__floatdidf,__floatundidf,__fixdfdi,__fixunsdfdi
float+=,__eqdf2,__nedf2,__ltdf2,__ledf2,__gtdf2,__gedf2,__unorddf2

"$llvm/llvm-link" --suppress-warnings -o "$work/all.bc" "${inputs[@]}"
if ! grep -q ' T entrypoint$' <<<"$("$llvm/llvm-nm" --defined-only "$work/all.bc")"; then
  echo "sbf-link.sh: the program defines no entrypoint (is the feature no-entrypoint on?)" >&2
  exit 1
fi
"$llvm/opt" -passes='internalize,globaldce,function(lower-atomic)' \
  -internalize-public-api-list="entrypoint,$float" "$work/all.bc" -o "$work/live.bc"
"$llvm/opt" -vectorize-loops=false -vectorize-slp=false -passes='default<O2>' "$work/live.bc" -o "$work/opt.bc"
"$llvm/llvm-link" --suppress-warnings "$work/opt.bc" "$runtime" -o "$work/rt.bc"
"$sbf_ld" legalize "$work/rt.bc" "$work/legal.bc"
"$llvm/opt" -passes='internalize,globaldce' -internalize-public-api-list=entrypoint \
  "$work/legal.bc" -o "$work/final.bc"
"$sbf_ld" check "$work/final.bc"
if ! "$llvm/llc" -march=bpfel -mcpu=v2 -mattr=+allows-misaligned-mem-access -filetype=obj \
  -bpf-stack-size=4096 -O2 "$work/final.bc" -o "$work/program.o" 2>"$work/llc.log"; then
  # One line per message, with readable names.
  grep -v '^ *$' "$work/llc.log" | awk '!seen[$0]++' | "$llvm/llvm-cxxfilt" | sed \
    's/Looks like the BPF stack limit is exceeded.*/needs more than 4096 bytes of stack (box large values, split the function)/' >&2
  exit 1
fi
"$sbf_ld" link "$work/program.o" "$out"
