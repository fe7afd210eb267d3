# What tests/run is made of: stages, some of them beside the others, and a table of their seconds at the end. To be sourced.
#
#   stage <name> <command>...    runs it and shows what it says; the script ends when it fails
#   beside <name> <command>...   starts it in the background and keeps what it says
#   await <name>                 shows what that said, and says until it is done; the script ends when it failed
#   pass                         waits for what is still running, and ends the script
#
# However the script ends, what it started is ended and the table is printed.

stages=$(mktemp -d)
order=()
declare -A process=()

say() { printf '\n==> [%s s] %s\n' "$SECONDS" "$*"; }

# start <name> <command>...: in a process group of its own, so that all of it can be ended.
start() {
  order+=("$1")
  set -m
  measured "$@" </dev/null &
  set +m
  process[$1]=$!
}

# measured <name> <command>...: leaves its exit code behind, and its seconds by the clock and of the processor.
measured() {
  began=$SECONDS
  trap "record \$? ${1@Q}" EXIT
  trap 'exit 143' TERM
  "${@:2}"
}

# record <exit code> <name>
record() {
  processor
  printf '%s %s %s\n' "$1" $((SECONDS - began)) "$used" >"$stages/$2.ended"
}

# processor: in $used, the seconds of it that the commands of this shell took.
processor() {
  local file=$stages/$BASHPID.times
  # No subshell, which would tell of its own.
  times >"$file"
  used=$(awk 'NR == 2 { split($1 "m" $2, part, /[ms]+/); printf "%d", (part[1] + part[3]) * 60 + part[2] + part[4] }' "$file")
}

# after <name> <command>...: once that stage has ended, which does not count.
after() {
  tail --pid="${process[$1]}" -f /dev/null
  began=$SECONDS
  "${@:2}"
}

ended() { [ -e "$stages/$1.ended" ]; }
failed() { ended "$1" && ! grep -q '^0 ' "$stages/$1.ended"; }

stage() {
  check
  say "$1"
  start "$@"
  wait "${process[$1]}"
}

beside() {
  say "beside the rest: $1"
  start "$@" >"$stages/$1.log" 2>&1
}

await() {
  check
  say "waiting for: $1"
  tail --pid="${process[$1]}" -n +1 -f "$stages/$1.log" &
  wait "${process[$1]}" "$!"
  # Whatever killed it left no code behind.
  { ended "$1" && ! failed "$1"; } || { say "failed: $1" && exit 1; }
}

# check: ends the script when something beside it has failed already, and shows all that it said.
check() {
  local name
  for name in "${order[@]}"; do
    failed "$name" || continue
    say "failed: $name"
    cat "$stages/$name.log"
    exit 1
  done
}

pass() {
  local name
  for name in "${order[@]}"; do
    ended "$name" || await "$name"
  done
  check
  passed=yes
}

# What is still running is told to end, and has five seconds for it.
end() {
  local name
  for name in "${order[@]}"; do
    ended "$name" || kill -- "-${process[$name]}" 2>/dev/null || continue
    timeout 5 tail --pid="${process[$name]}" -f /dev/null || kill -KILL -- "-${process[$name]}" 2>/dev/null || true
  done
}

table() {
  local name code wall used
  printf '\n%8s %8s  %s\n' seconds "of CPU" stage
  for name in "${order[@]}"; do
    read -r code wall used <"$stages/$name.ended" || code=143 wall= used=
    case $code in
      0) code= ;;
      143) code=": stopped" ;;
      *) code=": failed with $code" ;;
    esac
    printf '%8s %8s  %s%s\n' "$wall" "$used" "$name" "$code"
  done 2>/dev/null
  processor
  printf '%8s %8s  in all\n' "$SECONDS" "$used"
}

finish() {
  trap - EXIT
  end
  table
  rm -rf "$stages"
  [ "${passed:-}" = yes ] || exit 1
  say "All tests passed"
  exit 0
}
trap finish EXIT
trap 'exit 1' INT TERM
