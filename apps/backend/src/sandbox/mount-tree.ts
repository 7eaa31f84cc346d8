/**
 * What of the host's tree is left: the share, the state directory and the process's own descriptors, each a mount of its own,
 * so that `..` ends at its root. They are mounted where they are before the process opens them, and moved into an empty
 * file system when it has: an open directory keeps its mount.
 */
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import {
  check,
  MNT_DETACH,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NOSUID,
  MS_BIND,
  MS_MOVE,
  MS_NODEV,
  MS_NOEXEC,
  MS_NOSUID,
  MS_PRIVATE,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  O_PATH,
  type SysSandbox,
} from '@oriel/sys';

/** Directories that most hosts have and no loaded program needs. */
const PLACES = ['/sys', '/dev', '/run', '/tmp', '/mnt', '/opt'];
const BARE = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** Where /proc/PID/fd is inside: programs name it by the link. */
const INNER_FD = '/proc/self/fd';

/** What stays, by absolute paths. */
export interface MountTree {
  /** Undefined: the process has a descriptor of it, in mounts that are attached nowhere. */
  readonly sharedDir: string | undefined;
  readonly stateDir: string | undefined;
  /** Of the process that will live there. */
  readonly pid: number;
}

const text = (path: string): Uint8Array => new TextEncoder().encode(`${path}\0`);
const inside = (path: string, directory: string): boolean => path === directory || path.startsWith(`${directory}/`);

/** The two directories, the outer one first: it takes the inner one along. */
function kept({ sharedDir, stateDir }: MountTree): readonly string[] {
  const all = [sharedDir, stateDir].filter((path) => path !== undefined);
  return [...new Set(all)].sort((a, b) => a.length - b.length);
}

/** In a mount namespace of one's own: nothing that is mounted here or elsewhere is seen on the other side. @throws SysError */
export function keepMountsApart(sys: SysSandbox): void {
  check(sys.mount(0, text('/'), 0, MS_REC | MS_PRIVATE, 0), 'mount');
}

/** Device nodes that a guest makes stay closed to the server as well, and to whoever takes it over. */
function closeDevices(sys: SysSandbox, path: string): void {
  const fd = openSync(path, O_PATH);
  try {
    check(sys.setMountAttributes(fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID), `mount_setattr ${path}`);
  } finally {
    closeSync(fd);
  }
}

/** Then: makes mounts of what stays. @throws SysError */
export function mountKept(sys: SysSandbox, tree: MountTree): void {
  for (const path of kept(tree)) {
    // What is mounted in the share goes along, also by a state directory around it.
    const deep = tree.sharedDir !== undefined && inside(tree.sharedDir, path) ? MS_REC : 0;
    check(sys.mount(text(path), text(path), 0, MS_BIND | deep, 0), `mount ${path}`);
    closeDevices(sys, path);
  }
  const descriptors = text(`/proc/${tree.pid}/fd`);
  check(sys.mount(descriptors, descriptors, 0, MS_BIND, 0), 'mount /proc/self/fd');
}

/** Leaves all else behind, with every thread of the mount namespace. @throws SysError, or an error of node:fs */
export function pivot(sys: SysSandbox, tree: MountTree): void {
  const paths = kept(tree);
  const root = PLACES.find(
    (place) =>
      statSync(place, { throwIfNoEntry: false })?.isDirectory() === true && !paths.some((path) => inside(path, place)),
  );
  if (root === undefined) {
    throw new Error(`none of ${PLACES.join(' ')} is there to mount over`);
  }
  check(sys.mount(text('oriel'), text(root), text('tmpfs'), BARE, text('mode=755,size=64k')), 'mount tmpfs');
  const move = (from: string, to: string): void => {
    mkdirSync(`${root}${to}`, { recursive: true });
    check(sys.mount(text(from), text(`${root}${to}`), 0, MS_MOVE, 0), `move ${from}`);
  };
  for (const path of paths.filter((one) => !paths.some((other) => other !== one && inside(one, other)))) {
    move(path, path);
  }
  move(`/proc/${tree.pid}/fd`, INNER_FD);
  check(sys.mount(0, text(root), 0, MS_REMOUNT | MS_BIND | MS_RDONLY | BARE, 0), 'mount read-only');
  check(sys.chdir(text(root)), 'chdir');
  // The old root is put on top of the new one, and taken away from there (pivot_root(2)).
  check(sys.pivotRoot(text('.'), text('.')), 'pivot_root');
  check(sys.umount2(text('.'), MNT_DETACH), 'umount2');
}
