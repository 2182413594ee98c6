# Programs from published Go modules. Each set is a small module in programs/NAME-VERSION that names the programs as
# tools; its go.sum pins the sum of every module that goes into them.
# shellcheck shell=bash

# The oldest Go that the modules accept.
go_needed=1.26

need_go() {
  command -v go >/dev/null || fail "Go is missing: install $go_needed or later from https://go.dev/dl"
  local has
  has=$(go env GOVERSION)
  [ "$(printf '%s\n' "$go_needed" "${has#go}" | sort -V | head -n 1)" = "$go_needed" ] ||
    [ "$(go env GOTOOLCHAIN)" != local ] || fail "Go is ${has#go}: install $go_needed or later from https://go.dev/dl"
}

# program_set NAME-VERSION: the directory of a set, with its programs in `bin`.
program_set() {
  echo "$cache/$1-$(digest_of "$lab/programs/$1/go.mod" "$lab/programs/$1/go.sum" "$(declare -f "$(builder_of "$1")")")"
}

# builder_of NAME-VERSION: only flannel has parts in C.
builder_of() {
  case $1 in
  flannel-*) echo build_with_c ;;
  *) echo build_programs ;;
  esac
}

# make_programs NAME-VERSION…
make_programs() {
  local set place
  for set in "$@"; do
    place=$(program_set "$set")
    [ -d "$place" ] || need_go
    programs_of=$set cached "$set" "${place##*-}" "$(builder_of "$set")"
  done
}

# Builds `$programs_of` into a directory. The compiler's cache and the modules are removed behind it: they are ten times
# what is kept.
build_programs() {
  local place=$1 work=$1/work tools tool name link package version=${programs_of##*-}
  mkdir -p "$work" "$place/bin"
  cp "$lab/programs/$programs_of"/go.* "$work/"
  export GOCACHE=$work/cache GOMODCACHE=$work/modules GOFLAGS='-mod=readonly -modcacherw -trimpath -buildvcs=false' CGO_ENABLED=0
  cd "$work"
  tools=$(go list -f '{{.ImportPath}}' tool)
  link='-s -w'
  case $programs_of in
  kubernetes-*)
    # Without a stamp they say v0.0.0, and the API server takes no kubelet for one that it may serve.
    for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
      link+=" -X $package.gitVersion=v$version -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
      link+=" -X $package.gitTreeState=clean -X $package.buildDate=1970-01-01T00:00:00Z"
    done
    ;;
  esac
  for tool in $tools; do
    name=$(basename "$tool")
    # A package called v3 is the program of the directory above.
    case $name in v[0-9]*) name=$(basename "$(dirname "$tool")") ;; esac
    # etcd calls its program `server`.
    case $programs_of-$name in etcd-*-server) name=etcd ;; esac
    nice -n 5 go build -tags selinux,notest,grpcnotrace -ldflags "$link" -o "$place/bin/$name" "$tool"
  done
  cd "$place"
  rm -rf "$work"
}

# The same with a C compiler, and all of it in one file.
build_with_c() {
  local place=$1 work=$1/work
  mkdir -p "$work" "$place/bin"
  cp "$lab/programs/$programs_of"/go.* "$work/"
  export GOCACHE=$work/cache GOMODCACHE=$work/modules GOFLAGS='-mod=readonly -modcacherw -trimpath -buildvcs=false' CGO_ENABLED=1
  cd "$work"
  nice -n 5 go build -ldflags '-s -w -linkmode external -extldflags -static' -o "$place/bin/" "$(go list -f '{{.ImportPath}}' tool)"
  cd "$place"
  rm -rf "$work"
}
