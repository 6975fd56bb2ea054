# Debian packages and signed apt repositories; after kernel.sh.
# shellcheck shell=sh disable=SC2154

DEB_TOOLS="dpkg-dev apt-utils"

# control PACKAGE ARCHITECTURE ROOT DESCRIPTION
control() {
    mkdir -p "$3/DEBIAN"
    cat >"$3/DEBIAN/control" <<END
Package: $1
Source: linux
Version: $VERSION
Architecture: $2
Maintainer: kernsym test world <world@kernsym.invalid>
Section: debug
Priority: optional
Homepage: https://www.kernel.org/
Description: $4
END
    install -D -m 644 "$HERE/copyright" "$3/usr/share/doc/$1/copyright"
}

# pack_deb ROOT FILE [OPTION...]: FILE in the pool of REPO
pack_deb() {
    root=$1 file=$2
    shift 2
    [ $# -gt 0 ] || set -- -Zxz -z9 -Sextreme
    mkdir -p "$REPO/pool/main/l/linux"
    dpkg-deb --root-owner-group "$@" -b "$root" "$REPO/pool/main/l/linux/$file" >&2
}

# apt_repository DISTS SUITE CODENAME [TYPE]: the index of the pool of REPO; TYPE is deb or ddeb.
apt_repository() (
    cd "$REPO"
    index=dists/$1/main/binary-amd64
    mkdir -p "$index"
    dpkg-scanpackages -m -t "${4:-deb}" pool 2>/dev/null | xz -9 >"$index/Packages.xz"
    apt-ftparchive -o APT::FTPArchive::Release::Origin=kernsym \
        -o APT::FTPArchive::Release::Suite="$2" \
        -o APT::FTPArchive::Release::Codename="$3" \
        -o APT::FTPArchive::Release::Date="$(date -u -R -d "$DATE")" \
        -o APT::FTPArchive::Release::Components=main \
        -o APT::FTPArchive::Release::Architectures=amd64 release "dists/$1" >"$WORLD/Release"
    sign --clearsign -o "dists/$1/InRelease" "$WORLD/Release"
)
