/** A Debian tree with programs that work on files: a guest mounts it and works in it by chroot. Made when a suite first asks for it. */
import { join } from 'node:path';
import type { Guest } from '../boot.ts';
import { orielDevice } from './dax-share.ts';
import { startOrielFs } from './oriel.ts';
import type { HostProcess } from './process.ts';
import { sideTree } from './side-tree.ts';

/** Bumped when the steps change although the packages do not. */
const STEPS = 1;

/** tcc is a compiler of 0.3 MB; gcc would be 150. */
const PROGRAMS = [
  ...[
    'base-files',
    'bash',
    'coreutils',
    'dash',
    'findutils',
    'grep',
    'tar',
    'fio',
    'git',
    'make',
    'nfstest',
    'stress-ng',
    'tcc',
    'libc6-dev',
  ],
  ...[
    'linux-libc-dev',
    'python3.13-minimal',
    'libpython3.13-minimal',
    'libpython3.13-stdlib',
    'libpython3.13-testsuite',
  ],
];

/** What they load; their own dependencies would bring GL drivers with LLVM, perl and an init. */
const LIBRARIES = [
  ...['libacl1', 'libaio1t64', 'libapparmor1', 'libattr1', 'libblkid1', 'libboost-iostreams1.83.0'],
  ...['libboost-thread1.83.0', 'libbsd0', 'libbz2-1.0', 'libc6', 'libcap2', 'libcom-err2', 'libcrypt1'],
  ...['libcryptsetup12', 'libdaxctl1', 'libdevmapper1.02.1', 'libdrm2', 'libegl1', 'libexpat1', 'libffi8', 'libfmt10'],
  ...[
    'libgbm1',
    'libgcc-s1',
    'libgfapi0',
    'libgfrpc0',
    'libgfxdr0',
    'libgles2',
    'libglusterfs0',
    'libglvnd0',
    'libgmp10',
  ],
  ...['libgnutls30t64', 'libgssapi-krb5-2', 'libhogweed6t64', 'libibverbs1', 'libidn2-0', 'libipsec-mb2'],
  ...['libjpeg62-turbo', 'libjson-c5', 'libjudydebian1', 'libk5crypto3', 'libkeyutils1', 'libkmod2', 'libkrb5-3'],
  ...['libkrb5support0', 'liblzma5', 'libmd0', 'libmpfr6', 'libnbd0', 'libndctl6', 'libnettle8t64', 'libnfs14'],
  ...[
    'libnl-3-200',
    'libnl-route-3-200',
    'libnuma1',
    'libp11-kit0',
    'libpcre2-8-0',
    'libpmem1',
    'librados2',
    'librbd1',
  ],
  ...[
    'librdmacm1t64',
    'libsctp1',
    'libselinux1',
    'libsqlite3-0',
    'libssl3t64',
    'libstdc++6',
    'libtasn1-6',
    'libtinfo6',
  ],
  ...['libtirpc3t64', 'libudev1', 'libunistring5', 'libuuid1', 'libxml2', 'libxxhash0', 'libzstd1', 'zlib1g'],
];

/** The tag under which {@link serveFsTree} offers the tree, and where {@link mountFsTree} puts it. */
const TAG = 'fs-tree';
const ROOT = '/fs-tree';

/**
 * Serves the tree, made or found in the cache.
 * @param dir - for the socket
 * @returns the back-end, and QEMU's arguments for its device
 * @throws GuestError ERR_GUEST_UNSUPPORTED, ERR_GUEST_COMMAND
 */
export async function serveFsTree(dir: string): Promise<{ backend: HostProcess; qemuArgs: string[] }> {
  const { root } = await sideTree({ name: 'fs', steps: STEPS, packages: [...PROGRAMS, ...LIBRARIES] });
  const socketPath = join(dir, `${TAG}.sock`);
  const args = ['--readonly', '--cache=always'];
  const backend = await startOrielFs({ socketPath, sharedDir: root, tag: TAG, window: '0', args });
  return { backend, qemuArgs: orielDevice(socketPath, TAG) };
}

/** Mounts the tree in the guest. Its /home is the guest's /mnt, as base-files has no other empty folder. */
export async function mountFsTree(guest: Guest): Promise<void> {
  await guest.ok(`mkdir -p ${ROOT} && mount -t virtiofs -o ro ${TAG} ${ROOT}
for d in dev proc sys tmp; do mount --rbind /$d ${ROOT}/$d || exit 1; done
mount --rbind /mnt ${ROOT}/home || exit 1
cp -a ${ROOT}/etc /tmp/etc && mount --bind /tmp/etc ${ROOT}/etc || exit 1
printf 'root:x:0:0:root:/root:/bin/sh\\nnobody:x:65534:65534::/:/bin/false\\n' >/tmp/etc/passwd
printf 'root:x:0:\\nnogroup:x:65534:\\n' >/tmp/etc/group
mount -t devpts pts ${ROOT}/dev/pts || exit 1
mount -t tmpfs run ${ROOT}/run; mount -t tmpfs root ${ROOT}/root; ip link set lo up`);
}

/** A script that runs in the tree, as a word for the guest's shell. */
export function inFsTree(script: string): string {
  const code = Buffer.from(script).toString('base64');
  const env = 'HOME=/root LANG=C.UTF-8 GIT_CONFIG_NOSYSTEM=1 PATH=/usr/bin:/usr/sbin';
  return `echo ${code} | base64 -d >/tmp/in-tree.sh; exec env -i ${env} chroot ${ROOT} /usr/bin/bash /tmp/in-tree.sh`;
}
