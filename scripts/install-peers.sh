#!/usr/bin/env bash
# Puts the real programs that tier 2 runs against on a Debian machine: Prometheus, Alertmanager, node-exporter, Redis,
# Memcached, Chromium from Debian; MinIO, pinned, built by `go install` (about 10 minutes on 2 cores the first time, kept after).
# Needs root for the packages. What is there already is left alone.
set -euo pipefail

minio_version=v0.0.0-20260212201848-7aac2a2c5b7c
missing=()
need() { command -v "$1" >/dev/null 2>&1 || missing+=("$2"); }
need prometheus prometheus
need prometheus-alertmanager prometheus-alertmanager
need prometheus-node-exporter prometheus-node-exporter
need redis-server redis-server
need memcached memcached
need chromium chromium
if [ "${#missing[@]}" -gt 0 ]; then
  echo "install-peers: installing ${missing[*]}" >&2
  apt-get update -qq
  # The packages start services of their own on fixed ports; the tests run theirs on free ones.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
gobin="$(go env GOBIN 2>/dev/null || true)"
[ -n "$gobin" ] || gobin="$(go env GOPATH)/bin"
if [ ! -x "$gobin/minio" ] && ! command -v minio >/dev/null 2>&1; then
  echo "install-peers: building MinIO $minio_version (about 10 minutes)" >&2
  go install "github.com/minio/minio@$minio_version"
fi
echo "install-peers: ready" >&2
