# Signed RPMs and rpm-md repositories; after kernel.sh.
# shellcheck shell=sh disable=SC2154

RPM_TOOLS="rpm createrepo-c debugedit"

# pack_rpm NAME PAYLOAD ROOT FOLDER [SPEC-LINE]: packs ROOT as NAME-VERSION.x86_64.rpm, signed.
# PAYLOAD in rpm's words (w9.xzdio: xz in one block, as one thread writes it).
pack_rpm() {
    mkdir -p "$4"
    cat >"$WORLD/$1.spec" <<END
Name: $1
Version: ${VERSION%%-*}
Release: ${VERSION#*-}
Summary: A part of a small kernel for kernsym's tests
License: GPL-2.0
Group: Development/Debug
URL: https://www.kernel.org/
AutoReqProv: no
${5:-}
%description
$(cat "$HERE/copyright")
${GIT_REVISION:+GIT Revision: $GIT_REVISION}
%install
cp -a $3/. %{buildroot}/
%files
$(cd "$3" && find . -mindepth 1 -type d -printf '%%dir %P\n' -o -printf '%P\n' |
        sed 's,^\(%dir \)\?,\1/,')
END
    rpmbuild --quiet -bb --target x86_64-linux \
        --define "_topdir $WORLD/rpmbuild" --define "_rpmdir $4" --define "_buildhost kernsym.invalid" \
        --define '_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm' \
        --define "_binary_payload $2" --define '_build_id_links none' --define 'debug_package %{nil}' \
        --define '__os_install_post %{nil}' --define 'use_source_date_epoch_as_buildtime 1' \
        --define 'clamp_mtime_to_source_date_epoch 1' "$WORLD/$1.spec" >"$WORLD/rpmbuild.log" 2>&1 || {
        tail "$WORLD/rpmbuild.log" >&2
        exit 1
    }
    rpmsign --define '__gpg /usr/bin/gpg' --define '_gpg_name world@kernsym.invalid' --define '_gpg_digest_algo sha256' \
        --define "_gpg_sign_cmd_extra_args --batch --faked-system-time $SOURCE_DATE_EPOCH" \
        --addsign "$4/$1-$VERSION.x86_64.rpm" >/dev/null
    touch -d "@$SOURCE_DATE_EPOCH" "$4/$1-$VERSION.x86_64.rpm"
}

# rpm_repository FOLDER: the index of the packages below it, signed.
rpm_repository() {
    createrepo_c -q --no-database --revision "$SOURCE_DATE_EPOCH" --set-timestamp-to-revision "$1"
    sign --armor --detach-sign "$1/repodata/repomd.xml"
}

# link_build_id FILE ROOT PATH: the link of a debug file, ROOT/PATH, under the build ID of FILE.
link_build_id() {
    id=$(readelf -nW "$1" | sed -n 's/.*Build ID: //p')
    link=$2/usr/lib/debug/.build-id/$(echo "$id" | cut -c1-2)/$(echo "$id" | cut -c3-).debug
    mkdir -p "${link%/*}"
    ln -sf "../../../../../$3" "$link"
}

# debug_modules ROOT TREE [OBJECTS]: every module's debug half as .ko.debug
debug_modules() {
    for module in $(modules); do
        path=usr/lib/debug/${module#"$WORLD/modules/"}.debug
        debug_module "$module" "$WORLD/module" "$2" "${3:-}"
        mkdir -p "$1/${path%/*}"
        objcopy --only-keep-debug "$WORLD/module" "$1/$path"
        link_build_id "$module" "$1" "$path"
    done
}
