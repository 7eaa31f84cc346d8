/** Which mounts of a directory may not answer: those of file systems that are not known to be local. */
import { readFileSync } from 'node:fs';

/** File systems on disks and in memory, and the kernel's own, as proc(5) names them in mountinfo. */
const LOCAL: ReadonlySet<string> = new Set([
  ...['ext2', 'ext3', 'ext4', 'xfs', 'btrfs', 'f2fs', 'bcachefs', 'zfs', 'vfat', 'exfat', 'ntfs3', 'iso9660'],
  ...['squashfs', 'erofs', 'overlay', 'tmpfs', 'ramfs', 'devtmpfs', 'hugetlbfs'],
  ...['proc', 'sysfs', 'devpts', 'mqueue', 'debugfs', 'tracefs', 'securityfs', 'configfs', 'efivarfs', 'bpf'],
  ...['cgroup', 'cgroup2', 'binfmt_misc', 'pstore', 'fusectl', 'rootfs'],
]);

/** Where in a line the mount point stands. */
const MOUNT_POINT = 4;

/**
 * @param dir - an absolute path without symbolic links
 * @param mountinfo - text of /proc/self/mountinfo
 * @returns whether the directory lies on such a mount, or has one below it
 */
export function hasRemoteMount(dir: string, mountinfo = readFileSync('/proc/self/mountinfo', 'latin1')): boolean {
  const inside = (path: string, of: string): boolean => of === '/' || path === of || path.startsWith(`${of}/`);
  let own = { path: '', local: true };
  for (const line of mountinfo.split('\n')) {
    const [head = '', tail = ''] = line.split(' - ');
    const point = head.split(' ')[MOUNT_POINT];
    if (point === undefined) continue;
    const path = point.replace(/\\([0-7]{3})/g, (_text, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 8)),
    );
    const local = LOCAL.has(tail.split(' ')[0]!);
    if (path !== dir && inside(path, dir) && !local) return true;
    // Of several at one place the last lies on top.
    if (inside(dir, path) && path.length >= own.path.length) own = { path, local };
  }
  return !own.local;
}
