# The images of the components: hyperkube, etcd, nginx with `stream`, pause, busybox for pods, and the registry's
# own. Each is one layer, and small where a few programs are enough, since every node of every test loads them.
# shellcheck shell=bash

components_packages=busybox,etcd-server,etcd-client,nginx-light,libnginx-mod-stream,docker-registry,ca-certificates
components_packages+=,iptables,conntrack,iproute2,mount,socat,ebtables,ethtool,kmod,ipset,e2fsprogs
components_tree_digest=$(digest_of "$components_packages" "$suite")
components_digest=$(digest_of "$lab/parts/components.sh" "$lab/pause.c" "$components_tree_digest" "$kubernetes_digest")
# What a lab's cluster.yml names, without the registry before it.
component_images="lab/hyperkube:$kubernetes_version lab/etcd:v3.4.23 lab/nginx:1.22 lab/pause:3.2 lab/busybox:1"
components_archive=$cache/components-$components_digest/images.tar
registry_image=lab/registry:$components_digest
balancer_image=lab/balancer:$components_digest

make_components() {
  cached components-tree "$components_tree_digest" make_components_tree
  cached components "$components_digest" make_component_archive
  docker image inspect "$registry_image" "$balancer_image" >/dev/null 2>&1 ||
    logged beside docker load -i "$cache/components-$components_digest/beside.tar"
}

make_components_tree() {
  debian_tree "$1/tree" "$components_packages"
  chroot "$1/tree" update-alternatives --set iptables /usr/sbin/iptables-legacy
}

make_component_archive() {
  local place=$1 tree=$cache/components-tree-$components_tree_digest/tree work=$1/work
  mkdir -p "$work"

  # What a component's container never runs stays out; the rest is Debian as kubelet and kube-proxy expect it.
  cp -al "$tree" "$work/hyperkube"
  cp "$kubernetes"/bin/* "$work/hyperkube/usr/local/bin/"
  tar -C "$work/hyperkube" -c --exclude './usr/bin/etcd*' --exclude ./usr/bin/docker-registry \
    --exclude './usr/lib/apt' --exclude './usr/lib/x86_64-linux-gnu/libapt*' --exclude './usr/share/perl*' \
    --exclude './usr/lib/x86_64-linux-gnu/perl*' --exclude './var/lib/dpkg/info' --exclude './usr/share/zoneinfo' . |
    docker import - "lab/hyperkube:$kubernetes_version"

  programs_image "$tree" "$work/etcd" lab/etcd:v3.4.23 /usr/bin/etcd /usr/bin/etcdctl
  programs_image "$tree" "$work/nginx" lab/nginx:1.22 /usr/sbin/nginx /usr/lib/nginx/modules/ngx_stream_module.so \
    /etc/nginx /usr/share/nginx /var/lib/nginx
  programs_image "$tree" "$work/registry" "$registry_image" /usr/bin/docker-registry

  mkdir -p "$work/pause"
  workshop_run "$work/pause" "gcc -static -Os -s -o pause pause.c" "$lab/pause.c"
  tar -C "$work/pause" -c pause | docker import -c 'CMD ["/pause"]' - lab/pause:3.2

  busybox_into "$tree" "$work/busybox"
  tar -C "$work/busybox" --owner 0 --group 0 -c . | docker import -c 'CMD ["sh"]' - lab/busybox:1

  # Both under their own name and under the registry's, so that a node that has them loaded need not pull.
  local image names=()
  for image in $component_images; do
    docker tag "$image" "registry.lab:5000/$image"
    names+=("$image" "registry.lab:5000/$image")
  done
  docker save -o "$place/images.tar" "${names[@]}"
  docker tag lab/nginx:1.22 "$balancer_image"
  docker save -o "$place/beside.tar" "$registry_image" "$balancer_image"
  rm -rf "$work"
}

# programs_image TREE WORK IMAGE PATH…: an image of these paths, the libraries they need, and busybox for the eye.
programs_image() {
  local tree=$1 work=$2 image=$3 path
  shift 3
  busybox_into "$tree" "$work"
  mkdir -p "$work"/{etc,tmp,usr,var/log,var/lib,run}
  ln -s ../run "$work/var/run"
  chmod 1777 "$work/tmp"
  for path in "$@" /etc/passwd /etc/group /etc/nsswitch.conf /etc/ssl/certs/ca-certificates.crt; do
    mkdir -p "$work/$(dirname "$path")"
    cp -a "$tree$path" "$work/$(dirname "$path")/"
    [ -d "$tree$path" ] || libraries_of "$tree" "$path"
  done | sort -u | while read -r path; do
    mkdir -p "$work/$(dirname "$path")"
    cp -aL "$tree$path" "$work$path"
  done
  if [ -d "$work/etc/nginx" ]; then
    mkdir -p "$work/var/log/nginx" "$work/etc/nginx/modules-enabled"
    rm -f "$work"/etc/nginx/modules-enabled/* "$work"/etc/nginx/sites-enabled/*
    echo 'load_module /usr/lib/nginx/modules/ngx_stream_module.so;' >"$work/etc/nginx/modules-enabled/stream.conf"
  fi
  tar -C "$work" --owner 0 --group 0 -c . | docker import -c 'ENV PATH=/usr/sbin:/usr/bin:/bin' - "$image"
}

libraries_of() { chroot "$1" ldd "$2" 2>/dev/null | grep -o '/[^ ]*' || true; }

# busybox_into TREE WORK: Debian's, with the words that the lab uses. Its `wget` dies of the option -T.
busybox_into() {
  local tree=$1 work=$2 name path
  mkdir -p "$work/bin"
  cp -a "$tree/bin/busybox" "$work/bin/"
  for path in $(libraries_of "$tree" /bin/busybox); do
    mkdir -p "$work/$(dirname "$path")"
    cp -aL "$tree$path" "$work$path"
  done
  for name in sh ls cat cp rm mkdir sleep wget httpd nc hostname nslookup ip ps kill date env grep id tar; do
    ln -sf busybox "$work/bin/$name"
  done
}

# workshop_run DIRECTORY COMMAND FILE…: runs it in the workshop beside copies of the files; what is then there
# comes back into the directory.
workshop_run() {
  local directory=$1 command=$2 container status=0
  shift 2
  container=$(docker create --network none --workdir /work "$workshop" sh -c "$command")
  tar -c --transform 's,^.*/,,;s,^,work/,' -P "$@" | docker cp - "$container:/"
  docker start --attach "$container" || status=$?
  [ "$status" -ne 0 ] || docker cp "$container:/work/." "$directory/" || status=$?
  docker rm -f "$container"
  return "$status"
}
