/** What the tree is made of. Any change here changes the key, so the next set-up makes a new tree. */
import { contentKey } from './cache.ts';

/** The Debian release of the tree and the suites it is made from. */
export const SUITES = ['trixie', 'trixie-backports'] as const;

/** Sources whose backport is wanted; everything else stays at the release. */
const FROM_BACKPORTS = ['src:qemu', 'src:linux', 'src:linux-signed-amd64', 'src:seabios', 'src:ipxe', 'src:edk2'];

/** apt preferences text. */
export const PREFERENCES = `Package: ${FROM_BACKPORTS.join(' ')}
Pin: release n=trixie-backports
Pin-Priority: 990
`;

/** Packages unpacked with all their dependencies. */
export const PACKAGES = [
  'base-files',
  'qemu-system-x86',
  'virtiofsd',
  'busybox-static',
  'gcc',
  'libc6-dev',
  'linux-libc-dev',
  'kmod',
  'xz-utils',
  'tar',
  'coreutils',
  'findutils',
  'bash',
  'perl-base',
] as const;

/**
 * Packages unpacked by themselves: QEMU's D-Bus display and what it links with, whose package also depends on GL drivers and
 * LLVM, of no use without a GPU; qemu-io and qemu-img with libblkio, a vhost-user front-end.
 */
export const BARE_PACKAGES = [
  'qemu-system-modules-opengl',
  'libepoxy0',
  'libgbm1',
  'libdrm2',
  'libexpat1',
  'qemu-utils',
  'qemu-block-extra',
  'libblkio1',
] as const;

/**
 * The meta package of the kernel. Its image package depends on an initramfs maker, which is of no use here: only the
 * binary, module and base packages behind it are taken.
 */
export const KERNEL_META = 'linux-image-amd64';

/** Oldest QEMU that has the shared memory messages. */
export const QEMU_MINIMUM: readonly [number, number] = [11, 1];

/** Bumped when the steps change although the packages do not. */
const STEPS = 2;

/** Names the tree in the cache. */
export const RECIPE = contentKey(JSON.stringify([STEPS, SUITES, PREFERENCES, PACKAGES, BARE_PACKAGES, KERNEL_META]));
