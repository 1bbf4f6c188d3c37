# What this machine's apt is configured to fetch, as apt itself reads it: both formats of its sources, their options and
# disabled entries. Sourced; the package lists must have been updated before, or apt does not know whose they are.

# package_lists FORMAT: one line for each package list, in the words of `apt-get indextargets --format`.
package_lists() { apt-get indextargets --format "$1" 'Created-By: Packages'; }

# has_suite CODENAME: whether that suite is among them.
# shellcheck disable=SC2016 # the dollars are apt's
has_suite() { package_lists '$(CODENAME)' | grep -qxF "$1"; }

# signed_by FILE:NUMBER: the Signed-By field, a key within it and all, of the stanza (of a .sources file) or line with that
# number; nothing if it has none.
signed_by() {
    local file=${1%:*} number=${1##*:}
    case $file in
    *.sources)
        awk -v number="$number" '
            /^[[:space:]]*$/ { inside = 0; next }
            /^#/ { next }
            !inside { inside = 1; stanza++ }
            /^[^[:space:]]/ { field = tolower($1) }
            stanza == number && field == "signed-by:"' "$file"
        ;;
    *)
        sed -nE "$number"'s/^[^#]*\[[^]]*signed-by=([^] ]+).*/Signed-By: \1/p' "$file"
        ;;
    esac
}

# derive_backports CODENAME: prints a source of CODENAME-backports, made from the machine's own entry for CODENAME: the same
# mirror and key, another suite. Fails if there is no such entry.
derive_backports() {
    local codename=$1 found
    # shellcheck disable=SC2016
    found=$(package_lists '$(ORIGIN)|$(COMPONENT)|$(CODENAME)|$(REPO_URI)|$(SOURCESENTRY)' |
        awk -F '|' -v codename="$codename" '
            $1 == "Debian" && $2 == "main" && ($3 == codename || $3 == codename "-updates") && $4 !~ /^cdrom:/ && !found++ {
                print $4 "|" $5
            }')
    [ -n "$found" ] || return 1
    printf 'Types: deb\nURIs: %s\nSuites: %s-backports\nComponents: main\n' "${found%|*}" "$codename"
    signed_by "${found#*|}"
}
