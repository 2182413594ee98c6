# The seed: what a node's Docker holds after it loaded all component images, so that a node can begin with them.
#
# The files of image layers never change, so a node gets links to the seed's, which takes a moment where a load
# takes half a minute of a core; what Docker does write to is copied.
# shellcheck shell=bash

seed_digest=$(digest_of "$lab/parts/seed.sh" "$components_digest" "$node_tree_digest")
seed_volume=windlass-lab-seed-$seed_digest

make_seed() {
  docker volume inspect "$seed_volume" >/dev/null 2>&1 && return
  say "seed: loading the images (log: $logs/seed.log)"
  local began=$SECONDS
  logged seed fill_seed
  say "seed: loaded in $((SECONDS - began)) s"
}

# Fills a volume of another name first and links it over, since a volume that is there must be whole.
fill_seed() {
  local prefix=lab-seed-$$ node=lab-seed-$$-1
  trap '"$lab/hosts" down "lab-seed-$$"; docker volume rm -f "lab-seed-$$-docker"' EXIT
  docker volume create --label windlass.lab.kept "$prefix-docker"
  "$lab/hosts" up "$prefix" --nodes 1 --no-registry --owner $$ --engine-volume "$prefix-docker"
  docker exec -i "$node" docker load -q <"$components_archive"
  docker stop --time 20 "$node"
  docker volume create "$seed_volume"
  link_docker "$prefix-docker" "$seed_volume" || { docker volume rm "$seed_volume"; return 1; }
}

# link_docker FROM TO: fills the volume TO with what Docker keeps in FROM, both of them at rest.
link_docker() {
  local volumes
  volumes=$(docker volume inspect -f '{{.Mountpoint}}' "$1")
  volumes=${volumes%/"$1"/_data}
  # Both volumes by one mount, as links do not cross from one mount to another.
  docker run --rm --network none --entrypoint "" -v "$volumes:/volumes" "$node_image" bash -euc '
    cd "/volumes/$1/_data"
    tar -c --exclude ./overlay2 --exclude ./containers --exclude ./tmp --exclude ./runtimes . | tar -x -C "/volumes/$2/_data"
    cp -al overlay2 "/volumes/$2/_data/"
    ' link "$1" "$2"
}
