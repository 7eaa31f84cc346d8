/** Whether this host lets us be shut in: tests choose by it what they ask of a program. */
import { spawnSync } from 'node:child_process';

/** True where this user may make mount, network and IPC namespaces, root by itself and others in a user namespace. */
export function canSandbox(): boolean {
  const user = process.getuid?.() === 0 ? [] : ['--user', '--map-user=0'];
  return spawnSync('unshare', [...user, '--mount', '--net', '--ipc', 'true']).status === 0;
}
