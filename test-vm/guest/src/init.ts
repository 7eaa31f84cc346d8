/** The init program of our guests, for an initramfs and for a root tree alike. */
import { READY } from './shell.ts';

/**
 * A busybox shell script: mounts the kernel's file systems, loads `/lib/oriel-modules/*.ko` in name order, then runs
 * each line that comes on ttyS1 in a shell of its own (a shell on the tty itself would be interactive: echo, prompts). Mounts that the kernel made before (devtmpfs on a real root) fail quietly.
 * The lines are read by a child: a shell forgets the half of a line that it has when SIGCHLD comes, and process 1 gets that
 * one for every orphan; it waits, and so reaps them.
 */
export const INIT = `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
busybox mount -t proc proc /proc 2>/dev/null
busybox mount -t sysfs sys /sys 2>/dev/null
busybox mount -t devtmpfs dev /dev 2>/dev/null
busybox mount -t tmpfs tmp /tmp 2>/dev/null
busybox mkdir -p /dev/pts /dev/shm
for module in /lib/oriel-modules/*.ko; do
  [ -e "$module" ] && busybox insmod "$module"
done
(
  exec 3<>/dev/ttyS1
  busybox stty -F /dev/ttyS1 raw -echo
  echo ${READY} >&3
  while :; do
    IFS= read -r line <&3 && busybox sh -c "$line" </dev/null >&3 2>&1
  done
) &
wait
`;
