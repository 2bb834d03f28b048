#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In a guest, for bench/policies.py: what opens and execs take, a line each: side, measure, instructions.
#   policy_cost.sh none|warden|apparmor RULES…    with nothing in force; with policies; with profiles of so many rules
set -eu
bench=/bpfwarden/bench
warden=/bpfwarden/bin/bpfwarden
side=$1
shift
deep=/srv/one/two/three/four/five/six/seven/eight
mkdir -p $deep /srv/bin /srv/many
cp $bench/policy_cost /srv/bin/cost
cp $bench/policy_cost /srv/bin/plain
cp /bin/busybox /srv/bin/true
echo x >$deep/file
many=
for i in 0 1 2 3 4 5 6 7 8 9; do
    for j in 0 1 2 3 4 5 6 7; do
        echo x >/srv/many/document-$i$j
        many="$many /srv/many/document-$i$j"
    done
done

measure() { # SIDE PROGRAM
    echo "$1 short $("$2" open 2000 /etc/passwd)"
    echo "$1 deep $("$2" open 2000 $deep/file)"
    # shellcheck disable=SC2086
    echo "$1 many $("$2" open 2000 $many)"
    echo "$1 short_renamed $("$2" renamed 2000 /etc/passwd)"
    echo "$1 deep_renamed $("$2" renamed 2000 $deep/file)"
    echo "$1 exec $("$2" exec 100 /srv/bin/true)"
}

unconfined=yes
case $side in
none) measure none /srv/bin/plain ;;
warden)
    measure bpf_idle /srv/bin/plain
    for rules; do
        $warden policy apply $bench/policies/"$rules".toml >/dev/null 2>&1
        [ -z "$unconfined" ] || measure warden_unconfined /srv/bin/plain
        unconfined=
        measure warden_"$rules" /srv/bin/cost
    done
    $warden policy remove >/dev/null
    ;;
apparmor)
    measure apparmor_unconfined /srv/bin/plain
    for rules; do
        if [ -e $bench/policies/"$rules".apparmor ]; then
            # In one write, or it is EPROTO.
            dd bs=64M if=$bench/policies/"$rules".apparmor of=/sys/kernel/security/apparmor/.replace 2>/dev/null
        elif ! apparmor_parser --replace --skip-cache $bench/policies/"$rules".profile; then
            continue
        fi
        measure apparmor_"$rules" /srv/bin/cost
    done
    ;;
esac
