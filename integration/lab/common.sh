# What the lab's scripts share: the cache, its progress lines, and a Docker engine that answers.
# shellcheck shell=bash

# Everything built is kept here, outside the repository, so that a fresh clone finds it again.
cache=${WINDLASS_LAB_CACHE:-${HOME:-/root}/.cache/windlass-lab}
logs=$cache/logs
mkdir -p "$logs"

# The era of the lab: the present, or RKE 1's middle years. See eras/.
export LAB_ERA=${LAB_ERA:-today}
eras="today dockershim"

keyring=/usr/share/keyrings/debian-archive-keyring.gpg

say() { printf '%s lab: %s\n' "$(date +%H:%M:%S)" "$*" >&2; }

fail() {
  printf 'lab: %s\n' "$*" >&2
  exit 1
}

# Twelve digits that change with the content of the given files and words.
digest_of() {
  local item
  for item in "$@"; do
    if [ -f "$item" ]; then cat "$item"; else printf '%s\n' "$item"; fi
  done | sha256sum | cut -c1-12
}

# logged NAME COMMAND…: runs it with its output in logs/NAME.log, and shows the end of that if it fails. A
# function runs in a process of its own, since bash does not stop at errors in a command after `if`.
logged() {
  local name=$1
  shift
  if declare -F "$1" >/dev/null; then set -- bash "$lab/build" call "$@"; fi
  if ! "$@" >"$logs/$name.log" 2>&1; then
    # The address of this machine's mirror is not printed.
    tail -n 20 "$logs/$name.log" | sed -E 's#https?://[^ ]+#(the archive)#g' >&2
    fail "$name failed; the whole log is $logs/$name.log"
  fi
}

# cached NAME DIGEST MAKER: the directory cache/NAME-DIGEST, made by `MAKER DIRECTORY` if it does not exist yet.
# It appears complete or not at all: an interrupted maker leaves only a `.partial` directory, which is made again.
cached() {
  local name=$1 place=$cache/$1-$2 maker=$3 began=$SECONDS
  if [ ! -d "$place" ]; then
    say "$name: building (log: $logs/$name.log)"
    rm -rf "$place.partial"
    mkdir -p "$place.partial"
    logged "$name" "$maker" "$place.partial"
    mv "$place.partial" "$place"
    say "$name: built in $((SECONDS - began)) s"
  fi
  touch "$place"
}

# The Debian archive that this machine's own apt is configured to use. apt knows the origin of an archive from its
# lists, which a fresh machine lacks.
mirror() {
  local found
  found=$(known_mirror)
  if [ -z "$found" ]; then
    apt-get update -q >&2
    found=$(known_mirror)
  fi
  [ -n "$found" ] || fail "apt knows no Debian archive: see /etc/apt/sources.list"
  echo "$found"
}
known_mirror() {
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' '$1 == "Debian" && $2 == "Debian" && !seen++ { print $3 }'
}

# debian_tree DIRECTORY PACKAGE,PACKAGE…: a small Debian root file system with these packages. apt's own files,
# documents and translations are removed, and with them the address of the mirror.
debian_tree() {
  local tree=$1 packages=$2 from
  from=$(mirror)
  mkdir -p "$cache/packages"
  debootstrap --variant=minbase --keyring="$keyring" --cache-dir="$cache/packages" --include="$packages" \
    "$suite" "$tree" "$from"
  rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/var/log/* \
    "$tree"/usr/share/{doc,man,locale,info,lintian} "$tree"/etc/apt/sources.list "$tree"/debootstrap
}

engine_answers() { docker info >/dev/null 2>&1; }

# Makes sure that a Docker engine answers; a running one is used as it is.
ensure_engine() {
  engine_answers && return
  exec 8>"$cache/starting-engine.lock"
  flock 8
  if ! engine_answers; then
    [ "$(id -u)" = 0 ] || fail "no Docker engine answers, and only root can start one: start Docker, or run as root"
    command -v dockerd >/dev/null || install_packages docker.io
    if ! engine_answers; then
      say "starting dockerd (log: $logs/dockerd.log)"
      # It outlives this script: it must keep neither the lock nor a low priority of the script.
      setsid nice -n "-$(nice)" dockerd >"$logs/dockerd.log" 2>&1 </dev/null 8>&- &
      local tries
      for tries in $(seq 120); do
        engine_answers && break
        [ "$tries" != 120 ] || { tail -n 20 "$logs/dockerd.log" >&2; fail "dockerd does not answer after 60 s"; }
        sleep 0.5
      done
    fi
  fi
  exec 8>&-
}

# Installs the missing ones of these Debian packages on this machine.
install_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || fail "these Debian packages are missing: ${missing[*]}"
  say "installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -yq --no-install-recommends "${missing[@]}" >"$logs/packages.log" 2>&1 || {
    logged packages apt-get update -q
    logged packages apt-get install -yq --no-install-recommends "${missing[@]}"
  }
}
