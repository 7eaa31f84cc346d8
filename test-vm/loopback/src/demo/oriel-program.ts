/** The real `oriel` program as a process of its own: as it was built, or from the sources where it was not. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { canSandbox } from '@oriel/sys/testing';
import { HostProcess } from '@oriel/test-vm-guest';

const FROM_SOURCE = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];
const CTL_TIMEOUT_MS = 10_000;

/** How a share is served for a demonstration. */
export interface ServeShare {
  readonly socketPath: string;
  readonly sharedDir: string;
  readonly tag: string;
  /** As on the command line: `32M`. */
  readonly window: string;
}

/** How a GPU is served for a demonstration. */
export interface ServeGpu {
  readonly socketPath: string;
  readonly controlPath: string;
  readonly screenshotDir: string;
  /** As on the command line: `256M`, `640x480`. */
  readonly hostVisible: string;
  readonly outputs: string;
}

function program(): [string, ...string[]] {
  const built = fileURLToPath(new URL('../../../../apps/backend/dist/main.js', import.meta.url));
  const source = fileURLToPath(new URL('../../../../apps/backend/src/main.ts', import.meta.url));
  return existsSync(built) ? [process.execPath, built] : [process.execPath, ...FROM_SOURCE, source];
}

async function start(device: string, options: readonly string[]): Promise<HostProcess> {
  const backend = HostProcess.start([...program(), device, ...options], { name: `oriel ${device}` });
  try {
    await backend.waitOutput(/listening/);
  } catch (error) {
    await backend.stop();
    throw error;
  }
  return backend;
}

/**
 * Starts `oriel fs` and waits until it listens.
 * @throws GuestError ERR_GUEST_EXITED with its last words, ERR_GUEST_TIMEOUT
 */
export function startOriel(share: ServeShare): Promise<HostProcess> {
  const { socketPath, sharedDir, tag, window } = share;
  const options = [`--socket-path=${socketPath}`, `--shared-dir=${sharedDir}`, `--tag=${tag}`, `--window=${window}`];
  // Beside the socket: a demonstration leaves nothing behind on the machine.
  options.push(`--state-dir=${dirname(socketPath)}`);
  // Nobody truncates files of a demonstration, and it takes root to guard them.
  options.push('--dax-unguarded');
  // Nor do all machines let namespaces be made.
  if (!canSandbox()) options.push('--sandbox=none');
  return start('fs', options);
}

/** Starts `oriel gpu` and waits until it listens; as `startOriel`. */
export function startGpu(gpu: ServeGpu): Promise<HostProcess> {
  const { socketPath, controlPath, screenshotDir, hostVisible, outputs } = gpu;
  const options = [`--socket-path=${socketPath}`, `--control-socket=${controlPath}`];
  options.push(`--screenshot-dir=${screenshotDir}`, `--host-visible=${hostVisible}`, `--outputs=${outputs}`);
  return start('gpu', options);
}

/** Asks a running program by `oriel ctl`. @returns a line of JSON each @throws Error with its words when it refuses */
export function askOriel<T>(controlPath: string, ...words: readonly string[]): T[] {
  const [file, ...args] = program();
  const options = { encoding: 'utf8', timeout: CTL_TIMEOUT_MS } as const;
  const { status, stdout, stderr } = spawnSync(file, [...args, 'ctl', '--socket', controlPath, ...words], options);
  if (status !== 0) throw new Error(`oriel ctl ${words.join(' ')}: ${stderr.trim()}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}
