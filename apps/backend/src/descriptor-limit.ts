/** How many descriptors this process may have open. */
import { readFileSync } from 'node:fs';
import { openSys, type SysFd } from '@oriel/sys';
import { CliError } from './cli/cli-error.ts';

/** The soft limit of this process, from /proc/self/limits; Node raises it to the hard limit when it starts. */
export function descriptorLimit(limits: string = readFileSync('/proc/self/limits', 'utf8')): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(limits);
  if (match === null) {
    throw new Error('/proc/self/limits has no line for open files');
  }
  return match[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(match[1]);
}

/** As virtiofsd has it: the guest's cache holds a descriptor for each inode. */
const WANTED = 1_000_000;

function mostThatMayBeAsked(): number {
  return Number(readFileSync('/proc/sys/fs/nr_open', 'utf8'));
}

/**
 * The descriptors to plan with: as many as were asked for, or a million; the limit of the process is raised for them where
 * that is allowed. 0 asks for the limit as it is.
 * @throws CliError when more are asked for than the process may have
 */
export function plannedDescriptors(
  asked: number | undefined,
  limit: number = descriptorLimit(),
  fd: Pick<SysFd, 'setDescriptorLimit'> = openSys().fd,
): number {
  if (asked === 0) {
    return limit;
  }
  const wanted = asked ?? Math.min(WANTED, mostThatMayBeAsked());
  if (wanted <= limit) {
    return asked ?? limit;
  }
  if (fd.setDescriptorLimit(wanted) === 0) {
    return wanted;
  }
  if (asked !== undefined) {
    throw new CliError(
      `--rlimit-nofile=${asked}: this process may have ${limit}: raise it where it is started (ulimit -Hn, LimitNOFILE=), or give less`,
    );
  }
  return limit;
}
