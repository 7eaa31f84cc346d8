/** `npm start -- --vm`: boots a real Linux guest whose serial console is this terminal, with the share mounted. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildInitramfs, type GuestEnvironment, setupGuest, vhostUserTestDevice } from '@oriel/test-vm-guest';

/** What the guest mounts. */
export interface GuestShare {
  readonly socketPath: string;
  readonly sharedDir: string;
  readonly tag: string;
}

const VIRTIO_ID_FS = 26;
/** Tag and number of queues: `struct virtio_fs_config`. */
const CONFIG_BYTES = 40;
const MEMORY_MIB = 512;
/** What ends this program ends QEMU first. */
const END_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGINT'] as const;

/** The first program of the guest: mounts, says where things are, gives the shell, and powers off after it. */
function init(share: GuestShare): string {
  return `#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=linux
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev 2>/dev/null
busybox mount -t tmpfs tmp /tmp
if busybox mount -t virtiofs -o dax=inode ${share.tag} /mnt; then
  cd /mnt
  echo
  echo "This is Linux $(busybox uname -r) in QEMU. The host's ${share.sharedDir} is mounted here, in /mnt:"
  busybox ls -l
  echo 'Files of whole pages are mapped from the host: try  mapcat noise.bin | md5sum'
  echo 'Leave with  exit'
  echo
fi
busybox setsid busybox cttyhack busybox sh
busybox sync
busybox poweroff -f
`;
}

/**
 * Boots the guest and waits for its end; sets the guest up first where it is not there yet.
 * @returns QEMU's exit status
 * @throws GuestError when the set-up cannot be made
 */
export async function guestShell(share: GuestShare): Promise<number> {
  const environment = await setupGuest();
  const dir = mkdtempSync(join(tmpdir(), 'oriel-vm-'));
  try {
    const initPath = join(dir, 'init');
    writeFileSync(initPath, init(share));
    const initramfs = await buildInitramfs(environment, { files: { '/shell-init': initPath } });
    return await runQemu(environment, initramfs, share);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function runQemu(environment: GuestEnvironment, initramfs: string, share: GuestShare): Promise<number> {
  const { qemu, kernel } = environment;
  const { socketPath } = share;
  const [program, ...before] = qemu.command as [string, ...string[]];
  const args = [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    // Emulated: /dev/kvm may be there and not work, as in a cloud machine.
    ...['-machine', 'q35,memory-backend=mem', '-accel', 'tcg,thread=multi', '-cpu', 'max'],
    ...['-smp', '2', '-m', String(MEMORY_MIB)],
    ...['-object', `memory-backend-memfd,id=mem,size=${MEMORY_MIB}M,share=on`],
    ...['-kernel', kernel.image, '-initrd', initramfs],
    ...['-append', 'console=ttyS0 quiet panic=-1 rdinit=/shell-init'],
    // Ctrl-C belongs to the guest's shell.
    ...['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...vhostUserTestDevice({ socketPath, virtioId: VIRTIO_ID_FS, configSize: CONFIG_BYTES }),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...before, ...args], { stdio: 'inherit', env: { ...process.env, ...qemu.env } });
    const end = (): void => {
      child.kill('SIGTERM');
    };
    for (const signal of END_SIGNALS) process.once(signal, end);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const one of END_SIGNALS) process.off(one, end);
      resolve(signal === null ? (code ?? 1) : 1);
    });
  });
}
