# The workshop: an image of Debian with the Go that builds Kubernetes of that time, so that what is built does not depend
# on the release of Debian that the lab runs on.
# shellcheck shell=bash

workshop_packages=golang-go,gcc,libc6-dev,make,rsync
workshop=lab/workshop:$(digest_of "$lab/parts/workshop.sh" "$suite")

make_workshop() {
  docker image inspect "$workshop" >/dev/null 2>&1 && return
  say "workshop: building (log: $logs/workshop.log)"
  logged workshop make_workshop_image
}

make_workshop_image() {
  local tree
  tree=$(mktemp -d "$cache/tree.XXXXXX")
  debian_tree "$tree" "$workshop_packages" && tar -C "$tree" -c . | docker import - "$workshop"
  rm -rf "$tree"
  docker image inspect "$workshop" >/dev/null
}
