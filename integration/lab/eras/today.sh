# The lab of today: Debian 13, Docker 26 on a containerd that also runs the pods, Kubernetes and etcd from their
# published Go modules, one image for each component as upstream has them, without a shell.
# shellcheck shell=bash

suite=trixie
pod_runtime=containerd
kubernetes_version=v1.37.2
etcd_version=v3.7.3
# What an upgrade begins with: the link before it.
earlier_kubernetes_version=v1.36.3
earlier_etcd_version=v3.6.16

node_packages=openssh-server,docker.io,docker-cli,containerd,iptables,iproute2,procps,ca-certificates,kmod,conntrack
node_packages+=,socat,ethtool,mount,ebtables,ipset,e2fsprogs,containernetworking-plugins,libfaketime,jq
node_packages+=,netcat-openbsd

components_packages=busybox,nginx-light,libnginx-mod-stream,docker-registry,ca-certificates,apache2-utils,openssl
components_packages+=,iptables,nftables,conntrack,mount,util-linux,kmod,ipset,e2fsprogs
components_tree_digest=$(digest_of "$components_packages" "$suite")

kubernetes_programs=$(program_set "kubernetes-${kubernetes_version#v}")
earlier_kubernetes_programs=$(program_set "kubernetes-${earlier_kubernetes_version#v}")
etcd_programs=$(program_set "etcd-${etcd_version#v}")
earlier_etcd_programs=$(program_set "etcd-${earlier_etcd_version#v}")
coredns_version=v1.15.0
flannel_version=v0.28.10
# The S3 server beside the hosts, to which a test may copy snapshots.
versitygw_version=v1.8.0
coredns_programs=$(program_set "coredns-${coredns_version#v}")
flannel_programs=$(program_set "flannel-${flannel_version#v}")
versitygw_programs=$(program_set "versitygw-${versitygw_version#v}")
kubernetes_programs_directory=$kubernetes_programs
kubectl=$kubernetes_programs/bin/kubectl

# images_of KUBERNETES ETCD: what a cluster.yml of these versions names.
images_of() {
  printf 'lab/%s:'"$1"'\n' kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet
  echo "lab/etcd:$2"
}
pod_images="lab/pause:3.10 lab/busybox:1"
network_images="lab/flannel:$flannel_version lab/flannel-cni:1 lab/coredns:$coredns_version lab/autoscaler:1"
component_images="$(images_of "$kubernetes_version" "$etcd_version") lab/nginx:1.26 $network_images $pod_images"
earlier_images=$(images_of "$earlier_kubernetes_version" "$earlier_etcd_version")

components_digest=$(digest_of "$lab/eras/today.sh" "$lab/parts/images.sh" "$lab/pause.c" "$components_tree_digest" \
  "$lab"/in-pods/* "$kubernetes_programs" "$earlier_kubernetes_programs" "$etcd_programs" "$earlier_etcd_programs" \
  "$coredns_programs" "$flannel_programs" "$versitygw_programs")
s3_server_image=lab/s3-server:$components_digest

make_kubernetes() {
  make_programs "etcd-${etcd_version#v}" "kubernetes-${kubernetes_version#v}" "etcd-${earlier_etcd_version#v}" \
    "kubernetes-${earlier_kubernetes_version#v}" "coredns-${coredns_version#v}" "flannel-${flannel_version#v}" \
    "versitygw-${versitygw_version#v}"
}

make_components() {
  cached components-tree "$components_tree_digest" make_components_tree
  cached components "$components_digest" make_component_archive
  docker image inspect "$registry_image" "$balancer_image" "$s3_server_image" >/dev/null 2>&1 ||
    logged beside docker load -i "$cache/components-$components_digest/beside.tar"
}

make_components_tree() {
  debian_tree "$1/tree" "$components_packages"
}

make_component_archive() {
  local place=$1 tree=$cache/components-tree-$components_tree_digest/tree work=$1/work
  version_images "$tree" "$work" "$kubernetes_version" "$kubernetes_programs" "$etcd_version" "$etcd_programs"
  version_images "$tree" "$work" "$earlier_kubernetes_version" "$earlier_kubernetes_programs" \
    "$earlier_etcd_version" "$earlier_etcd_programs"

  programs_image "$tree" "$work/nginx" lab/nginx:1.26 /usr/sbin/nginx /usr/lib/nginx/modules/ngx_stream_module.so \
    /etc/nginx /usr/share/nginx /var/lib/nginx
  programs_image "$tree" "$work/registry" "$registry_image" /usr/bin/docker-registry

  mkdir -p "$work/s3-server/usr/local/bin"
  cp "$versitygw_programs/bin/versitygw" "$work/s3-server/usr/local/bin/"
  busybox_into "$tree" "$work/s3-server"
  programs_image "$tree" "$work/s3-server" "$s3_server_image"

  mkdir -p "$work/pause"
  pause_into "$work/pause"
  tar -C "$work/pause" -c pause | docker import -c 'CMD ["/pause"]' - lab/pause:3.10
  busybox_into "$tree" "$work/busybox"
  tar -C "$work/busybox" --owner 0 --group 0 -c . | docker import -c 'CMD ["sh"]' - lab/busybox:1

  network_images_of "$tree" "$work"

  # shellcheck disable=SC2086
  save_under_both_names "$place/images.tar" $component_images
  # shellcheck disable=SC2086
  save_under_both_names "$place/pods.tar" $pod_images
  # shellcheck disable=SC2086
  save_under_both_names "$place/earlier.tar" $earlier_images
  docker tag lab/nginx:1.26 "$balancer_image"
  docker save -o "$place/beside.tar" "$registry_image" "$balancer_image" "$s3_server_image"
  rm -rf "$work"
}

# network_images_of TREE WORK: what a pod network and the names of Services run. Those whose pods call `cp` or `sh` have a busybox.
network_images_of() {
  local tree=$1 work=$2
  busybox_into "$tree" "$work/flannel"
  ln -sf busybox "$work/flannel/bin/mv"
  mkdir -p "$work/flannel/opt/bin"
  cp "$flannel_programs/bin/flannel" "$work/flannel/opt/bin/flanneld"
  cp "$lab/in-pods/install-conf" "$work/flannel/opt/bin/"
  legacy_iptables_into "$tree" "$work/flannel"
  programs_image "$tree" "$work/flannel" "lab/flannel:$flannel_version" /usr/sbin/xtables-legacy-multi

  busybox_into "$tree" "$work/flannel-cni"
  ln -sf busybox "$work/flannel-cni/bin/mv"
  mkdir -p "$work/flannel-cni/opt"
  cp "$lab/in-pods/flannel" "$work/flannel-cni/opt/flannel"
  cp "$lab/in-pods/install-cni.sh" "$work/flannel-cni/install-cni.sh"
  programs_image "$tree" "$work/flannel-cni" lab/flannel-cni:1

  mkdir -p "$work/coredns"
  cp "$coredns_programs/bin/coredns" "$work/coredns/coredns"
  entrypoint=/coredns programs_image "$tree" "$work/coredns" "lab/coredns:$coredns_version"

  busybox_into "$tree" "$work/autoscaler"
  cp "$lab/in-pods/autoscaler" "$work/autoscaler/cluster-proportional-autoscaler"
  programs_image "$tree" "$work/autoscaler" lab/autoscaler:1
}

# version_images TREE WORK KUBERNETES PROGRAMS ETCD PROGRAMS
version_images() {
  local tree=$1 work=$2/$3 version=$3 programs=$4 etcd=$5 etcd_programs=$6 name
  for name in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do
    mkdir -p "$work/$name/usr/local/bin"
    cp "$programs/bin/$name" "$work/$name/usr/local/bin/"
  done
  mkdir -p "$work/etcd/usr/local/bin"
  cp "$etcd_programs"/bin/etcd* "$work/etcd/usr/local/bin/"
  for name in kube-apiserver kube-controller-manager kube-scheduler; do
    programs_image "$tree" "$work/$name" "lab/$name:$version"
  done
  programs_image "$tree" "$work/etcd" "lab/etcd:$etcd"
  # kube-proxy sets the rules of the host, kubelet mounts and makes file systems.
  legacy_iptables_into "$tree" "$work/kube-proxy"
  programs_image "$tree" "$work/kube-proxy" "lab/kube-proxy:$version" /usr/sbin/xtables-legacy-multi /usr/sbin/nft \
    /usr/sbin/conntrack /usr/sbin/ipset /usr/bin/kmod
  legacy_iptables_into "$tree" "$work/kubelet"
  programs_image "$tree" "$work/kubelet" "lab/kubelet:$version" /usr/sbin/xtables-legacy-multi /usr/bin/mount \
    /usr/bin/umount /usr/bin/findmnt /usr/bin/nsenter /usr/sbin/blkid /usr/sbin/mke2fs /usr/sbin/e2fsck /usr/bin/kmod
}

# The names under which iptables-legacy is called, its extensions, and what these need.
legacy_iptables_into() {
  local tree=$1 work=$2 name extension
  mkdir -p "$work/usr/sbin" "$work/usr/lib/x86_64-linux-gnu"
  for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
    ln -sf xtables-legacy-multi "$work/usr/sbin/$name"
  done
  for name in modprobe; do ln -sf ../bin/kmod "$work/usr/sbin/$name"; done
  cp -a "$tree"/usr/lib/x86_64-linux-gnu/xtables "$work/usr/lib/x86_64-linux-gnu/"
  for extension in "$tree"/usr/lib/x86_64-linux-gnu/xtables/*.so; do
    libraries_of "$tree" "${extension#"$tree"}"
  done | sort -u | while read -r name; do
    mkdir -p "$work/$(dirname "$name")"
    cp -aL "$tree$name" "$work$name"
  done
}
