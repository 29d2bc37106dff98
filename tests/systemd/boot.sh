#!/usr/bin/env bash
# Boots a real systemd as PID 1 over a throw-away overlay of this machine's / and runs DRIVER inside, as root.
#   boot.sh DRIVER CHECKOUT PYTHON SITE
# Inside there is a zenv as on a server: the package of CHECKOUT under /opt/src, a virtual environment /opt/zenv on
# this PYTHON (a binary; its installation is seen at /opt/python when it is not the system's) with the packages of SITE.
# Prints what DRIVER printed; the exit code is 0 when DRIVER's was. What is written lies in a tmpfs and a folder of
# /var/tmp, both gone afterwards.
# Needs root, systemd-nspawn (Debian: systemd-container), overlayfs. No network is needed.
set -euo pipefail
umask 022 # the root of the booted system is for everybody, whoever starts this
driver=$1 checkout=$2 python=$(realpath "$3") site=$4
scratch=$(mktemp -d /tmp/boot.XXXX)
state=$(mktemp -d /var/tmp/boot.XXXX) # systemd seals no credential with a secret that lies in a tmpfs
trap 'umount -l "$scratch/root" 2>/dev/null || true; umount -l "$scratch" || true; rmdir "$scratch" || true; rm -rf "$state"' EXIT
mount -t tmpfs -o size=1500m tmpfs "$scratch"
mkdir "$scratch"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
root=$scratch/root

rm -f "$root/etc/machine-id" "$root"/etc/systemd/system/zenv*
head -c16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$root/etc/machine-id"

binds=(--bind-ro="$site:/opt/site")
seen=$python
case $python in
/usr/*) ;;
*) # ProtectHome=yes hides an interpreter under /root or /home from a service, as it would on a server
    base=$(dirname "$(dirname "$python")")
    seen=/opt/python/bin/$(basename "$python")
    binds+=(--bind-ro="$base:/opt/python")
    # its libpython would be looked for where the service cannot see it, and the system's found instead
    echo /opt/python/lib >"$root/etc/ld.so.conf.d/00-zenv-test.conf" ;;
esac

packages=$root/opt/zenv/lib/$(basename "$python")/site-packages
mkdir -p "$root"/opt/{src,zenv/bin,test} "$packages"
cp -r "$checkout/zenv" "$root/opt/src/"
chmod -R a+rX "$root/opt/src"
printf 'home = %s\ninclude-system-site-packages = false\n' "$(dirname "$seen")" >"$root/opt/zenv/pyvenv.cfg"
ln -s "$seen" "$root/opt/zenv/bin/python"
printf '/opt/src\n/opt/site\n' >"$packages/zenv.pth"
printf '#!/opt/zenv/bin/python\nfrom zenv.cli import main\nraise SystemExit(main())\n' >"$root/opt/zenv/bin/zenv"
chmod 755 "$root/opt/zenv/bin/zenv"

install -m755 "$driver" "$root/opt/test/driver.sh"
printf '%s\n' '[Unit]' Requires=basic.target After=basic.target Wants=zenv-test.service AllowIsolate=yes \
    >"$root/etc/systemd/system/zenv-test.target"
printf '%s\n' '[Service]' Type=oneshot ExecStartPre=/sbin/ldconfig \
    ExecStart=/opt/test/driver.sh StandardOutput=append:/opt/test/out.log StandardError=inherit \
    "ExecStopPost=/bin/sh -c 'echo EXIT=\$EXIT_STATUS >> /opt/test/out.log'" \
    'ExecStopPost=/bin/systemctl --no-block poweroff' >"$root/etc/systemd/system/zenv-test.service"

timeout 180 systemd-nspawn -q --register=no --keep-unit --private-network --console=pipe --bind="$state:/var/lib/systemd" \
    "${binds[@]}" -D "$root" -b -- systemd.unit=zenv-test.target >"$scratch/console" 2>&1 </dev/null || true

cat "$root/opt/test/out.log" 2>/dev/null || { echo "systemd did not come up:"; tail -5 "$scratch/console"; }
grep -q '^EXIT=0$' "$root/opt/test/out.log"
