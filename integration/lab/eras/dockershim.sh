# The lab of RKE 1's middle years: Debian 12, Docker 20.10, Kubernetes 1.20.2 with dockershim from Debian's source
# package, etcd 3.4 from Debian's packages, and one image with all of Kubernetes' programs and a shell.
# shellcheck shell=bash

suite=bookworm
pod_runtime=docker
kubernetes_version=v1.20.2
etcd_version=v3.4.23
earlier_images=

node_packages=openssh-server,docker.io,iptables,iproute2,procps,ca-certificates,kmod,conntrack,socat,ethtool
node_packages+=,mount,ebtables,ipset,e2fsprogs,containernetworking-plugins,libfaketime,jq,netcat-openbsd

components_packages=busybox,etcd-server,etcd-client,nginx-light,libnginx-mod-stream,docker-registry,ca-certificates
components_packages+=,apache2-utils,openssl,iptables,conntrack,iproute2,mount,socat,ebtables,ethtool,kmod,ipset
components_packages+=,e2fsprogs
components_tree_digest=$(digest_of "$components_packages" "$suite")

# shellcheck source=../parts/workshop.sh
. "$lab/parts/workshop.sh"
# shellcheck source=../parts/debian_kubernetes.sh
. "$lab/parts/debian_kubernetes.sh"
kubernetes_programs_directory=$kubernetes
kubectl=$kubernetes/bin/kubectl

pod_images="lab/pause:3.2 lab/busybox:1"
# What a lab's cluster.yml names, without the registry before it.
component_images="lab/hyperkube:$kubernetes_version lab/etcd:$etcd_version lab/nginx:1.22 $pod_images"
components_digest=$(digest_of "$lab/eras/dockershim.sh" "$lab/parts/images.sh" "$lab/pause.c" "$components_tree_digest" \
  "$kubernetes_digest")

make_kubernetes() {
  make_workshop
  cached kubernetes "$kubernetes_digest" build_kubernetes
}

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

  local name
  for name in etcd nginx registry; do busybox_into "$tree" "$work/$name"; done
  programs_image "$tree" "$work/etcd" "lab/etcd:$etcd_version" /usr/bin/etcd /usr/bin/etcdctl
  programs_image "$tree" "$work/nginx" lab/nginx:1.22 /usr/sbin/nginx /usr/lib/nginx/modules/ngx_stream_module.so \
    /etc/nginx /usr/share/nginx /var/lib/nginx
  programs_image "$tree" "$work/registry" "$registry_image" /usr/bin/docker-registry

  mkdir -p "$work/pause"
  pause_into "$work/pause"
  tar -C "$work/pause" -c pause | docker import -c 'CMD ["/pause"]' - lab/pause:3.2
  busybox_into "$tree" "$work/busybox"
  tar -C "$work/busybox" --owner 0 --group 0 -c . | docker import -c 'CMD ["sh"]' - lab/busybox:1

  # shellcheck disable=SC2086
  save_under_both_names "$place/images.tar" $component_images
  docker tag lab/nginx:1.22 "$balancer_image"
  docker save -o "$place/beside.tar" "$registry_image" "$balancer_image"
  rm -rf "$work"
}
