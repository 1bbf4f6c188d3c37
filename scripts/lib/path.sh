# Sourced: puts the release build's executables on the PATH of this shell.
PATH="$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/../.." && pwd)/build/release/bin:$PATH"
export PATH
