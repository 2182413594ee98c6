# Kubernetes 1.20.2 from Debian's source package, built as its authors build it: its own `make`, in the workshop.
# shellcheck shell=bash

kubernetes_programs="kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl"

build_kubernetes() {
  local place=$1 container
  (cd "$place" && fetch_source kubernetes)
  # The container is fed and emptied by `docker cp`: its engine may see other files than this script does.
  container=$(docker create --network none --cpu-shares 256 "$workshop" bash /work/build)
  compile_script >"$place/build"
  (cd "$place" && mv ./*.orig.tar.gz source.tar.gz && tar -c --transform 's,^,work/,' source.tar.gz build) |
    docker cp - "$container:/"
  local status=0
  docker start --attach "$container" || status=$?
  [ "$status" -ne 0 ] || docker cp "$container:/work/bin/." "$place/bin/" || status=$?
  docker rm -f "$container"
  rm -f "$place/source.tar.gz" "$place/build" "$place"/kubernetes_*
  return "$status"
}

# What runs in the workshop. Debian's go.mod is too old for its own Go, hence the GOPATH of old; the version that
# the programs tell comes from a file, as there is no git here.
compile_script() {
  cat <<SCRIPT
set -eu
root=/work/go/src/k8s.io/kubernetes
mkdir -p \$root /work/bin
tar -xzf /work/source.tar.gz -C \$root --strip-components=1
cat > /work/version <<END
KUBE_GIT_COMMIT=faecb196815e248d3ecfb03c680a4507229c2a56
KUBE_GIT_TREE_STATE=clean
KUBE_GIT_VERSION=$kubernetes_version
KUBE_GIT_MAJOR=1
KUBE_GIT_MINOR=20
END
export HOME=/work/home GOPATH=/work/go GO111MODULE=off CGO_ENABLED=0 KUBE_GIT_VERSION_FILE=/work/version
mkdir -p \$HOME
cd \$root
nice -n 10 make WHAT="$(printf 'cmd/%s ' $kubernetes_programs)"
cp $(printf "_output/local/go/bin/%s " $kubernetes_programs) /work/bin/
SCRIPT
}

# fetch_source PACKAGE: the upstream tar of a Debian source package into this directory, with apt lists of our own,
# since the machine's apt need not know of sources, nor of this release.
fetch_source() {
  local apt=$PWD/apt from
  from=$(mirror)
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  echo "deb-src [signed-by=$keyring] $from $suite main" >"$apt/sources.list"
  local options=(-o "Dir::Etc::SourceList=$apt/sources.list" -o Dir::Etc::SourceParts=/nonexistent
    -o "Dir::State::Lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" -q update
  apt-get "${options[@]}" -q source --download-only "$1"
  rm -rf "$apt"
}

# A compilation takes ten minutes of two cores, so only what it does counts, not how this file puts it.
kubernetes_digest=$(digest_of "$(compile_script)" "$suite")
kubernetes=$cache/kubernetes-$kubernetes_digest
