/** A share of `oriel fs` with a DAX window, in a running stock guest: what most suites begin with. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type BootOptions, bootGuest, type Guest, vhostUserTestDevice } from '../boot.ts';
import type { GuestEnvironment } from './environment.ts';
import { startOrielFs } from './oriel.ts';
import type { HostProcess } from './process.ts';

/** The virtio id and configuration size of virtio-fs. */
const VIRTIO_FS = { virtioId: 26, configSize: 40 } as const;

export interface DaxShareOptions {
  readonly environment: GuestEnvironment;
  /** A folder of the caller's: the socket and, as `share`, the shared directory go there. */
  readonly dir: string;
  /** Default 256M. */
  readonly window?: string;
  /** More options of `oriel fs`. */
  readonly args?: readonly string[];
  readonly logLevel?: 'info' | 'debug' | 'trace';
  readonly boot?: Partial<BootOptions>;
}

/** Guest and back-end; disposing ends both. */
export interface DaxShare extends AsyncDisposable {
  readonly guest: Guest;
  readonly backend: HostProcess;
  /** The shared directory on the host. */
  readonly hostDir: string;
  readonly socketPath: string;
}

/** QEMU arguments for a window's device at a socket. @param requestQueues - as many as the back-end has */
export function orielDevice(socketPath: string, id = 'oriel', requestQueues = 1): string[] {
  return vhostUserTestDevice({ socketPath, queueCount: 1 + requestQueues, queueSize: 1024, id, ...VIRTIO_FS });
}

/** Starts the back-end, then boots a guest with its device; nothing is mounted yet (the tag is `share`). */
export async function openDaxShare(options: DaxShareOptions): Promise<DaxShare> {
  const { environment, dir, window = '256M', args = [], logLevel = 'info', boot = {} } = options;
  const hostDir = join(dir, 'share');
  const socketPath = join(dir, 'share.sock');
  mkdirSync(hostDir, { recursive: true });
  const backend = await startOrielFs({ socketPath, sharedDir: hostDir, window, logLevel, args });
  try {
    const qemuArgs = [...orielDevice(socketPath), ...(boot.qemuArgs ?? [])];
    const guest = await bootGuest({ environment, ...boot, qemuArgs });
    const dispose = async (): Promise<void> => {
      await guest.close();
      await backend.stop();
    };
    return { guest, backend, hostDir, socketPath, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await backend.stop();
    throw error;
  }
}
