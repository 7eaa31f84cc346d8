/** Capabilities by name (linux/capability.h), and the ones that a file server keeps. */
import { CliError } from '../cli/cli-error.ts';

/** Their place is their number. */
const NAMES = [
  'chown',
  'dac_override',
  'dac_read_search',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'linux_immutable',
  'net_bind_service',
  'net_broadcast',
  'net_admin',
  'net_raw',
  'ipc_lock',
  'ipc_owner',
  'sys_module',
  'sys_rawio',
  'sys_chroot',
  'sys_ptrace',
  'sys_pacct',
  'sys_admin',
  'sys_boot',
  'sys_nice',
  'sys_resource',
  'sys_time',
  'sys_tty_config',
  'mknod',
  'lease',
  'audit_write',
  'audit_control',
  'setfcap',
  'mac_override',
  'mac_admin',
  'syslog',
  'wake_alarm',
  'block_suspend',
  'audit_read',
  'perfmon',
  'bpf',
  'checkpoint_restore',
] as const;

/** As many as this kernel may know: the bounding set has a bit for each. */
export const CAPABILITY_COUNT = 64;

/** What virtiofsd keeps. */
const KEPT = ['chown', 'dac_override', 'fowner', 'fsetid', 'setgid', 'setuid', 'mknod', 'setfcap'] as const;

function numberOf(name: string): number {
  return NAMES.indexOf(name.toLowerCase().replace(/^cap_/, '') as (typeof NAMES)[number]);
}

/**
 * Reads `+sys_admin:-chown`.
 * @param fileHandles - files are opened by handle
 * @returns the numbers that are kept, rising
 * @throws CliError
 */
export function keptCapabilities(changes: string | undefined, fileHandles: boolean): readonly number[] {
  const kept = new Set(KEPT.map(numberOf));
  if (fileHandles) {
    kept.add(numberOf('dac_read_search'));
  }
  for (const change of changes === undefined ? [] : changes.split(':')) {
    const number = numberOf(change.slice(1));
    if (!/^[+-]/.test(change) || number < 0) {
      throw new CliError(`--modcaps: '${change}': give +NAME or -NAME, divided by ':', such as +sys_resource:-mknod`);
    }
    if (change.startsWith('+')) {
      kept.add(number);
    } else {
      kept.delete(number);
    }
  }
  return [...kept].sort((a, b) => a - b);
}

/** Effective, permitted and inheritable set, all the same, as `SysSandbox.setCapabilities` takes them. */
export function capabilityWords(kept: readonly number[]): Uint32Array {
  let lo = 0;
  let hi = 0;
  for (const number of kept) {
    if (number < 32) {
      lo |= 1 << number;
    } else {
      hi |= 1 << (number - 32);
    }
  }
  return Uint32Array.of(lo, hi, lo, hi, lo, hi);
}
