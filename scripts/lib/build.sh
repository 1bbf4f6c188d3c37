# Functions that the scripts share. Sourced from the root of the checkout.

# step WORDS: says what begins now, with the seconds since the script began.
step() { printf '== %4ds  %s\n' "$SECONDS" "$*"; }

# build PRESET [TARGET...]: configures and builds build/PRESET, all of it or those targets. Ninja shows its progress on a
# terminal; elsewhere only the steps and the compiler's words appear.
build() {
    step "building ($1)"
    local log preset=$1
    shift
    log=$(mktemp)
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
    if [ -t 1 ]; then
        cmake --build --preset "$preset" ${1:+--target "$@"}
    else
        cmake --build --preset "$preset" ${1:+--target "$@"} | grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking|Generating)' || [ "${PIPESTATUS[0]}" -eq 0 ]
    fi
}
