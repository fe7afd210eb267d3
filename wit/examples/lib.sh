# What the builds of the examples share: tools from package registries, pinned, in a cache outside the tree. To be sourced.
#
#   <cache>/polaris2istio/tools/<name>-<version>/bin/<name>
#
# Each tool is installed under a temporary name and renamed when it is whole, so a second run has nothing to do.
set -euo pipefail

# The checkout that an example stands in; empty in a project that `polaris2istio module new` wrote, which has all beside itself.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=
[ -e "$here/wit" ] || root=$(cd "$here/../.." && pwd)
# The directory with the world.
wit=${root:-$here}/wit
tools=${POLARIS2ISTIO_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/polaris2istio}/tools

say() { printf '%s: %s\n' "$(basename "$PWD")" "$*" >&2; }

# The component encoder and the generator of C bindings. Any of their versions that can read each other would do.
wasm_tools=1.254.2
wit_bindgen=0.60.0

# Where cargo builds what is not an example: as it would from the root.
target=$(cd "${root:-$here}" && realpath -m "${CARGO_TARGET_DIR:-target}")

# need_rust: Rust with the target that knows no operating system.
need_rust() {
  if [ -n "$root" ]; then
    "$root/deploy/need-rust"
  elif ! command -v cargo >/dev/null; then
    say "Rust is missing. Run this, then start again:"
    say "  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env"
    return 1
  elif command -v rustup >/dev/null && ! rustup target list --installed | grep -qx wasm32-unknown-unknown; then
    rustup target add wasm32-unknown-unknown >&2
  fi
}

# need_crate <crate> <version> <binary> <features>: a tool from crates.io. Not optimised, and without the rest of its features: it
# has a second's work to do, and minutes to be compiled. What the tools share is compiled once.
need_crate() {
  local home=$tools/$3-$2
  if [ ! -x "$home/bin/$3" ]; then
    say "installing $1 $2 from crates.io (one to three minutes, once)"
    mkdir -p "$tools"
    local new
    new=$(mktemp -d "$tools/.$3-XXXXXX")
    CARGO_PROFILE_DEV_DEBUG=0 cargo install --debug --locked "$1" --version "$2" --no-default-features --features "$4" --root "$new" --target-dir "$target/tools" >&2 ||
      { rm -rf "$new"; return 1; }
    mv -T "$new" "$home" 2>/dev/null || rm -rf "$new"
  fi
  PATH=$home/bin:$PATH
}

need_wasm_tools() { need_crate wasm-tools $wasm_tools wasm-tools component; }
need_wit_bindgen() { need_crate wit-bindgen-cli $wit_bindgen wit-bindgen c; }

# need_packages <command> <Debian package>...: installs the packages unless the command is there.
need_packages() {
  command -v "$1" >/dev/null && return
  need_files "/nonexistent" "${@:2}"
}

# need_files <file> <Debian package>...: the same for a file.
need_files() {
  [ -e "$1" ] && return
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    say "installing ${*:2}"
    apt-get update -qq >&2 || say "apt-get update failed; going on with the package lists at hand"
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -qq --no-install-recommends "${@:2}" >&2
  else
    say "missing: ${*:2}. Run this, then start again: apt-get install -y ${*:2}"
    return 1
  fi
}

# polaris2istio <arguments>: the binary that POLARIS2ISTIO names, else the one of this source tree, as the quickstart builds it, or
# outside of one the one on PATH.
polaris2istio() {
  if [ -z "${POLARIS2ISTIO:-}" ] && [ -z "$root" ]; then
    POLARIS2ISTIO=$(type -P polaris2istio) || { say "polaris2istio is not on PATH; name the binary by POLARIS2ISTIO"; return 1; }
  elif [ -z "${POLARIS2ISTIO:-}" ]; then
    (cd "$root" && cargo build --locked --workspace --bin polaris2istio) >&2
    POLARIS2ISTIO=$target/debug/polaris2istio
  fi
  "$POLARIS2ISTIO" "$@"
}

# try_module <component> [<flag of module test>...]: what it is, and its cases.
try_module() {
  polaris2istio module inspect "$1"
  echo
  polaris2istio module test "$1" cases "${@:2}"
}
