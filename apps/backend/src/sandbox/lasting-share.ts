/**
 * The mounts of a share that outlive the process: a copy of them that is attached nowhere, held by the launcher. What is kept of
 * inodes tells them apart by mount, and a mount namespace has new mounts each time.
 */
import { fstatSync, statSync } from 'node:fs';
import { check, type Logger, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, type Sys } from '@oriel/sys';
import { launcherTerms, openNotifyStore } from '@oriel/virtio-device';
import type { SandboxPlan } from './sandbox-plan.ts';

/** True when a descriptor leads to the directory at a path. */
function leadsTo(fd: number, path: string): boolean {
  const [held, wanted] = [fstatSync(fd, { bigint: true }), statSync(path, { bigint: true })];
  return held.dev === wanted.dev && held.ino === wanted.ino;
}

/** Device nodes that a guest makes stay closed. @returns a negative errno where a descriptor is not the root of a mount */
function closeDevices({ sandbox }: Pick<Sys, 'sandbox'>, fd: number): number {
  return sandbox.setMountAttributes(fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
}

/**
 * In a mount namespace of one's own.
 * @returns a descriptor of the share; null: nobody launched this process who holds anything
 * @throws SysError, or an error of node:fs
 */
export function lastingShare(sys: Sys, plan: SandboxPlan, log: Logger): number | null {
  const { notifySocket, received } = launcherTerms({ ...process.env }, process.pid);
  if (notifySocket === undefined) {
    return null;
  }
  const name = `${plan.name}.share`;
  const held = received.find((one) => one.name === name);
  // Whoever took a process over may have had something else held: what is of no use is made anew.
  if (held !== undefined && leadsTo(held.fd, plan.sharedDir) && closeDevices(sys, held.fd) === 0) {
    return held.fd;
  }
  const share = check(sys.sandbox.cloneTree(new TextEncoder().encode(`${plan.sharedDir}\0`)), 'open_tree');
  check(closeDevices(sys, share), 'mount_setattr');
  using store = openNotifyStore({ notifySocket, received: [] }, { sys, log })!;
  store.remove(name);
  store.put(name, share);
  return share;
}
