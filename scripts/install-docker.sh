#!/usr/bin/env bash
# Puts Docker and compose on a Debian machine, for tier 3. Needs root. What is there already is left alone.
set -euo pipefail

missing=()
command -v docker >/dev/null 2>&1 && command -v dockerd >/dev/null 2>&1 || missing+=(docker.io)
docker compose version >/dev/null 2>&1 || docker-compose version >/dev/null 2>&1 || missing+=(docker-compose)
# For stand-in images, where none can be pulled.
command -v debootstrap >/dev/null 2>&1 || missing+=(debootstrap)
[ "${#missing[@]}" -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "install-docker: ${missing[*]} missing; this machine is not Debian, or this is not root" >&2
  exit 1
fi
echo "install-docker: installing ${missing[*]}" >&2
apt-get update -qq
# No daemon is started by the package: the tests start one where none answers.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
