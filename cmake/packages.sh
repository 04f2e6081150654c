# Sourced by launch/quickstart and tests/run: installs what the lists in cmake/ name, once.
#   need_packages LIST…   LIST: files with one Debian package name a line

need_packages() {
    local missing
    if ! command -v apt-get >/dev/null; then
        echo "This script installs packages with apt-get, which is not here. Install these by hand, then run it again" >&2
        echo "with LOCKSTEP_SKIP_PACKAGES=1:" >&2
        sed 's/^/  /' "$@" >&2
        return 1
    fi
    missing=$(cat "$@" | while read -r package; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || echo "$package"
    done)
    [ -z "$missing" ] && return 0
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || {
            echo "These packages are missing, and installing them needs root or sudo:" >&2
            echo "$missing" | sed 's/^/  /' >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing: $(echo "$missing" | tr '\n' ' ')"
    "${as_root[@]}" apt-get update -qq || echo "apt-get update failed; trying with the lists that are here" >&2
    # shellcheck disable=SC2086
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# mpirun refuses root and more ranks than cores unless told; ranks that share cores must yield.
mpi_settings() {
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    export MPIRUN_FLAGS="--oversubscribe --bind-to none --mca mpi_yield_when_idle 1"
}
