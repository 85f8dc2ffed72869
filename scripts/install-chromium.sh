#!/usr/bin/env bash
# Makes sure that there is a Chromium for the tests that need a browser, and prints its path as the only line of the output.
#
#   CHROMIUM=$(scripts/install-chromium.sh)
#
# One that is there is taken: the one that CHROMIUM names, or one of those below. Otherwise it is installed from Debian's or
# Ubuntu's packages, which takes root or sudo.
set -euo pipefail

find_one() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && command -v "$name"; then return 0; fi
  done
  return 1
}

if find_one; then exit 0; fi
if ! command -v apt-get >/dev/null; then
  echo "there is no Chromium, and no apt-get to install it with: install one, and name it in CHROMIUM" >&2
  exit 1
fi
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
{
  "${as_root[@]+"${as_root[@]}"}" apt-get update
  "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium
} >&2
find_one || { echo "Chromium was installed, and is not there" >&2; exit 1; }
