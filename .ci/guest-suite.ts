/** Whether a guest can be set up on this machine. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Why the guest suites cannot run here, or null when they can. */
export function guestSuiteMissing(): string | null {
  if (process.platform !== 'linux') return 'they need Linux';
  if (process.getuid?.() !== 0) return 'their set-up makes a Debian tree and needs root';
  if (spawnSync('apt-get', ['--version']).status !== 0) return 'their set-up needs apt';
  if (!existsSync('/proc/self/ns/mnt')) return 'mount namespaces are not available';
  return null;
}
