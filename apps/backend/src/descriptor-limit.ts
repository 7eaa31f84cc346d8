/** How many descriptors this process may have open. */
import { readFileSync } from 'node:fs';
import { CliError } from './cli/cli-error.ts';

/** The soft limit of this process, from /proc/self/limits; Node raises it to the hard limit when it starts. */
export function descriptorLimit(limits: string = readFileSync('/proc/self/limits', 'utf8')): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(limits);
  if (match === null) {
    throw new Error('/proc/self/limits has no line for open files');
  }
  return match[1] === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(match[1]);
}

/**
 * The descriptors to plan with: all, or as many as were asked for.
 * @throws CliError when more are asked for than the process may have
 */
export function plannedDescriptors(asked: number | undefined, limit: number = descriptorLimit()): number {
  if (asked !== undefined && asked > limit) {
    throw new CliError(
      `--rlimit-nofile=${asked}: this process may have ${limit}: raise it where it is started (ulimit -Hn, LimitNOFILE=), or give less`,
    );
  }
  return asked ?? limit;
}
