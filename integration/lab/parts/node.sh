# The image of a node: a Debian host with sshd, dockerd and the images of pods, without systemd. `ops` is in the group docker and
# cannot become root; `visitor` is in no group that matters.
# shellcheck shell=bash

node_image=lab/node:$(digest_of "$lab/parts/node.sh" "$lab"/node/* "$node_packages" "$suite" "$components_digest")
# The tree changes less often than what the lab puts on it, and takes a minute.
node_tree_digest=$(digest_of "$node_packages" "$suite")

make_node() {
  [ -f "$cache/ssh/id_ed25519" ] || {
    mkdir -p -m 0700 "$cache/ssh"
    ssh-keygen -q -t ed25519 -N '' -C lab -f "$cache/ssh/id_ed25519"
  }
  docker image inspect "$node_image" >/dev/null 2>&1 && return
  make_node_tree
  say "node: importing"
  logged node make_node_image
}

make_node_tree() { cached node-tree "$node_tree_digest" build_node_tree; }

build_node_tree() {
  local tree=$1/tree
  debian_tree "$tree" "$node_packages"
  rm -f "$tree"/etc/ssh/ssh_host_* "$tree"/etc/machine-id
  for user in ops visitor; do
    chroot "$tree" useradd --create-home --shell /bin/bash --password '*' "$user"
  done
  chroot "$tree" usermod --append --groups docker ops
  printf 'PasswordAuthentication no\nPermitRootLogin no\nPrintMotd no\n' >"$tree/etc/ssh/sshd_config.d/lab.conf"
  # The limit of open connections stays as Debian has it: who opens too many shall see it.
  tar -C "$tree" -cf "$1/tree.tar" .
  rm -rf "$tree"
}

make_node_image() {
  local base
  base=$(docker import "$cache/node-tree-$node_tree_digest/tree.tar")
  # A commit, not a build: it needs no builder, and puts the few files on top of the tree.
  local container
  container=$(docker create "$base" /bin/true)
  tar -C "$lab/node" --owner 0 --group 0 --mode 0755 -c . | docker cp - "$container:/usr/local/sbin/"
  [ "$pod_runtime" = docker ] || docker cp "${components_archive%/*}/pods.tar" "$container:/usr/local/share/lab-pods.tar"
  docker commit -c 'CMD ["/usr/local/sbin/start"]' "$container" "$node_image"
  docker rm "$container"
}
