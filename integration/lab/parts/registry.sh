# The registry that every lab pulls from: TLS by a CA of the lab's own, basic authentication, and the component
# images in a volume that all labs share.
# shellcheck shell=bash

registry_digest=$(digest_of "$lab/parts/registry.sh" "$components_digest")
registry_volume=windlass-lab-registry-$registry_digest
registry_secrets=$cache/registry-$(digest_of "$lab/parts/registry.sh")

make_registry() {
  cached registry "$(digest_of "$lab/parts/registry.sh")" make_registry_secrets
  docker volume inspect "$registry_volume" >/dev/null 2>&1 && return
  say "registry: pushing the images (log: $logs/registry-push.log)"
  local began=$SECONDS
  logged registry-push push_images
  say "registry: pushed in $((SECONDS - began)) s"
}

# What is secret here is worth nothing outside a lab; it is made anew for each cache all the same.
make_registry_secrets() {
  local place=$1
  chmod 0700 "$place"
  head -c 18 /dev/urandom | base64 | tr -d '/+=\n' >"$place/password"
  cat >"$place/make" <<'SCRIPT'
set -eu
htpasswd -iBc htpasswd lab < password
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj '/CN=lab CA' \
  -keyout ca.key -out ca.crt
openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=registry.lab -keyout tls.key -out tls.csr
printf 'subjectAltName=DNS:registry.lab,DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' > names
openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -extfile names -out tls.crt
rm -f tls.csr names ca.srl make
SCRIPT
  local tree=$cache/components-tree-$components_tree_digest/tree work
  work=$(mktemp -d "$tree/tmp/secrets.XXXXXX")
  mv "$place/password" "$place/make" "$work/"
  chroot "$tree" sh -c "cd '${work#"$tree"}' && sh make"
  mv "$work"/* "$place/"
  rmdir "$work"
  cat >"$place/config.yml" <<'CONFIG'
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: /var/lib/registry }, delete: { enabled: false } }
http: { addr: ":5000", tls: { certificate: /etc/registry/tls.crt, key: /etc/registry/tls.key } }
auth: { htpasswd: { realm: lab, path: /etc/registry/htpasswd } }
CONFIG
}

# registry_container NAME DOCKER-RUN-ARGUMENT…: starts a registry over the shared volume.
registry_container() {
  local name=$1
  shift
  docker create --name "$name" -v "$registry_volume:/var/lib/registry" "$@" "$registry_image" \
    docker-registry serve /etc/registry/config.yml
  tar -C "$registry_secrets" --owner 0 --group 0 --transform 's,^\.,etc/registry,' -c ./config.yml ./htpasswd ./tls.crt ./tls.key |
    docker cp - "$name:/"
  docker start "$name"
}

push_images() {
  local name=lab-registry-filling image tries
  docker rm -f "$name" 2>/dev/null || true
  docker volume create "$registry_volume"
  trap 'status=$?; docker rm -f lab-registry-filling; [ $status = 0 ] || docker volume rm "$registry_volume"' EXIT
  # The engine pushes to its own loopback, for which it asks for no CA; the port is the engine's choice.
  registry_container "$name" -p 127.0.0.1::5000
  local address
  address=127.0.0.1:$(docker port "$name" 5000 | sed 's/.*://;q')
  export DOCKER_CONFIG
  DOCKER_CONFIG=$(mktemp -d)
  for tries in $(seq 50); do
    ! docker login -u lab --password-stdin "$address" <"$registry_secrets/password" || break
    [ "$tries" != 50 ] || return 1
    sleep 0.2
  done
  docker load -i "$components_archive"
  [ -z "$earlier_images" ] || docker load -i "${components_archive%/*}/earlier.tar"
  for image in $component_images $earlier_images; do
    docker tag "$image" "$address/$image"
    docker push -q "$address/$image"
    # The names by digest hold an image as well.
    docker rmi "$(docker image inspect -f '{{index .RepoDigests 0}}' "$address/$image")" "$address/$image" \
      "registry.lab:5000/$image" "$image"
  done
  rm -rf "$DOCKER_CONFIG"
}
