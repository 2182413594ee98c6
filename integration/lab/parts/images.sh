# How an image of the lab is made: from programs and what they need of a Debian tree, as one layer.
# shellcheck shell=bash

# programs_image TREE WORK IMAGE PATH…: an image of these paths of the tree and the libraries they need. What WORK
# holds already goes in as well. Its entry point is `$entrypoint`, or none.
programs_image() {
  local tree=$1 work=$2 image=$3 path
  shift 3
  mkdir -p "$work"/{etc,tmp,usr,var/log,var/lib,run}
  ln -sfn ../run "$work/var/run"
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
  tar -C "$work" --owner 0 --group 0 -c . |
    docker import -c 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' \
      ${entrypoint:+-c "ENTRYPOINT [\"$entrypoint\"]"} - "$image"
}

libraries_of() { chroot "$1" ldd "$2" 2>/dev/null | grep -o '/[^ ]*' || true; }

# busybox_into TREE WORK: Debian's, with the words that the lab uses. Its `wget` dies of the option -T.
busybox_into() {
  local tree=$1 work=$2 name path
  mkdir -p "$work/bin"
  cp -aL "$tree/bin/busybox" "$work/bin/"
  for path in $(libraries_of "$tree" /bin/busybox); do
    mkdir -p "$work/$(dirname "$path")"
    cp -aL "$tree$path" "$work$path"
  done
  for name in sh ls cat cp rm mkdir sleep wget httpd nc hostname nslookup ip ps kill date env grep id tar; do
    ln -sf busybox "$work/bin/$name"
  done
}

# Both under its own name and under the registry's, so that a node that has it loaded need not pull.
save_under_both_names() {
  local archive=$1 image names=()
  shift
  for image in "$@"; do
    docker tag "$image" "registry.lab:5000/$image"
    names+=("$image" "registry.lab:5000/$image")
  done
  docker save -o "$archive" "${names[@]}"
}

# The network's place holder in every pod, linked statically.
pause_into() {
  cc -static -Os -s -o "$1/pause" "$lab/pause.c"
}
