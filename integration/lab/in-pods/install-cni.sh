#!/bin/sh
# What RKE's image of this kind has under this name: puts plugins and their configuration onto the node, and stays.
set -eu
cp /opt/flannel /host/opt/cni/bin/.flannel
mv /host/opt/cni/bin/.flannel /host/opt/cni/bin/flannel
conf=/host/etc/cni/net.d/$CNI_CONF_NAME
printf '%s\n' "$CNI_NETWORK_CONFIG" >"$conf.part"
mv "$conf.part" "$conf"
trap 'exit 0' TERM
while :; do
  sleep 3600 &
  wait
done
