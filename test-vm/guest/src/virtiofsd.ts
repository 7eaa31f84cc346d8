/** virtiofsd, the peer that the harness is proven with and that our device is compared to. */
import type { GuestEnvironment } from './environment.ts';
import { HostProcess } from './process.ts';

/** What to serve. */
export interface VirtiofsdOptions {
  readonly socketPath: string;
  readonly sharedDir: string;
  /** Default `auto`. */
  readonly cache?: 'auto' | 'always' | 'never' | 'metadata';
  /** More arguments. */
  readonly args?: readonly string[];
}

/**
 * Starts virtiofsd and waits until it listens. It ends by itself when QEMU goes.
 * @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT
 */
export function startVirtiofsd(environment: GuestEnvironment, options: VirtiofsdOptions): Promise<HostProcess> {
  const { command, env } = environment.virtiofsd;
  const args = [
    `--socket-path=${options.socketPath}`,
    `--shared-dir=${options.sharedDir}`,
    '--sandbox=none',
    `--cache=${options.cache ?? 'auto'}`,
    ...(options.args ?? []),
  ];
  const ready = /Waiting for vhost-user socket connection/;
  return HostProcess.startUntil(ready, [...command, ...args], { env, name: 'virtiofsd' });
}
