# The seed: what a node's Docker holds after it loaded all component images, so that a node can begin with them.
# shellcheck shell=bash
seed_volume=windlass-lab-seed-$(digest_of "$lab/parts/seed.sh" "$components_digest" "$node_image")
make_seed() { :; }
