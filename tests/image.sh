#!/bin/sh
# Does what the Dockerfile says in the very system that it is started in, from the project's folder,
# as root; then starts the server as the image would, and asks it as the image's health check does.
# For a bare Debian that is thrown away afterwards: a chroot or a virtual machine.
set -eu
project=$PWD
user=root
environment=

# The Dockerfile with each instruction on one line.
instructions() {
    sed -e '/^#/d' -e '/^$/d' "$project/Dockerfile" |
        awk '{ if (sub(/\\$/, "")) printf "%s", $0; else print }'
}

# json_words '["a", "b c"]': a line each.
json_words() {
    python3 -c 'import json, sys; print("\n".join(json.loads(sys.argv[1])))' "$1"
}

# as_image WORD...: a command as the image's user, in its environment and no other.
as_image() {
    setpriv --reuid "$user" --regid "$user" --clear-groups env -i $environment "$@"
}

copy() {
    case $1 in
        --from=*) test -e "$2" ;; # both stages are this system
        .) sed -n 's/^!//p' "$project/.dockerignore" | (cd "$project" && xargs cp -r -t "$OLDPWD") ;;
        *) echo "image: COPY $*: not understood" >&2 && exit 1 ;;
    esac
}

instructions >/tmp/instructions
while read -r word rest; do
    echo "image: $word $rest" >&2
    case $word in
        FROM | VOLUME | EXPOSE) ;;
        RUN) sh -c "$rest" </dev/null ;;
        WORKDIR) mkdir -p "$rest" && cd "$rest" ;;
        # shellcheck disable=SC2086 # words
        COPY) copy $rest ;;
        USER) user=$rest ;;
        ENV) environment="$environment $rest" ;;
        HEALTHCHECK) check=${rest#CMD } ;;
        ENTRYPOINT) entrypoint=$rest ;;
        CMD) command=$rest ;;
        *) echo "image: $word is not understood" >&2 && exit 1 ;;
    esac
done </tmp/instructions

# asked JSON...: the words of several lists, as the words of a command for the image.
asked() {
    IFS='
'
    # shellcheck disable=SC2046 # split at line ends
    set -- $(for list in "$@"; do json_words "$list"; done)
    unset IFS
    as_image "$@"
}

cd /
asked "$entrypoint" "$command" &
server=$!
trap 'kill "$server"' EXIT
tries=0
until asked "$check" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "image: the health check fails" >&2 && exit 1; }
    kill -0 "$server"
    sleep 0.5
done
echo "image: healthy, as $(id -u "$user"), $(du -sh /opt/kernsym | cut -f1) in /opt/kernsym"
