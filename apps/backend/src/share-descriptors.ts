/** How many of the process's descriptors are left for the files of its share. */
import { LEAST_DESCRIPTORS } from '@oriel/fs-passthrough';
import type { FrontendProfile } from '@oriel/vhost-user';
import { CliError } from './cli/cli-error.ts';
import type { FsDeviceSettings } from './devices/fs.ts';

/** Descriptors of Node, the loop, the socket and its channels, and of requests on mounts that may not answer. */
const BASE_DESCRIPTORS = 128;
/** Kick, call and error of a queue. */
const DESCRIPTORS_A_QUEUE = 3;
/** Each owner of POSIX locks in the guest has one. */
const LOCK_DESCRIPTORS = 4096;
/** The part of all descriptors that locks may take where there are few. */
const LOCK_PART = 1 / 8;

/** What takes descriptors. */
export type DescriptorUses = Pick<FsDeviceSettings, 'descriptors' | 'numRequestQueues' | 'windowSize'> & {
  readonly share: Pick<FsDeviceSettings['share'], 'posixLocks'>;
};

/** @throws CliError when they are too few */
export function shareDescriptors(
  uses: DescriptorUses,
  profile: Pick<FrontendProfile, 'limits' | 'maxMemSlots'>,
): number {
  const { descriptors, numRequestQueues, windowSize, share } = uses;
  const queues = (numRequestQueues + 1) * DESCRIPTORS_A_QUEUE;
  const mappings = windowSize > 0 ? Math.min(profile.limits.maxMappings, windowSize / 4096) : 0;
  const others = BASE_DESCRIPTORS + queues + profile.maxMemSlots + mappings;
  const lockPart = share.posixLocks === true ? LOCK_PART : 0;
  const unlocked = others + LEAST_DESCRIPTORS;
  const least = Math.min(Math.ceil(unlocked / (1 - lockPart)), unlocked + LOCK_DESCRIPTORS);
  if (descriptors < least) {
    throw new CliError(
      `--rlimit-nofile: ${descriptors} descriptors are too few: ${least} at least, with this window and these queues`,
    );
  }
  return descriptors - others - Math.min(LOCK_DESCRIPTORS, Math.floor(descriptors * lockPart));
}
