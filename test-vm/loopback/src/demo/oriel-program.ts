/** The real `oriel` program as a process of its own: as it was built, or from the sources where it was not. */
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostProcess } from '@oriel/test-vm-guest';

const FROM_SOURCE = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];

/** How a share is served for a demonstration. */
export interface ServeShare {
  readonly socketPath: string;
  readonly sharedDir: string;
  readonly tag: string;
  /** As on the command line: `32M`. */
  readonly window: string;
}

function program(): string[] {
  const built = fileURLToPath(new URL('../../../../apps/backend/dist/main.js', import.meta.url));
  const source = fileURLToPath(new URL('../../../../apps/backend/src/main.ts', import.meta.url));
  return existsSync(built) ? [process.execPath, built] : [process.execPath, ...FROM_SOURCE, source];
}

/**
 * Starts `oriel fs` and waits until it listens.
 * @throws GuestError ERR_GUEST_EXITED with its last words, ERR_GUEST_TIMEOUT
 */
export async function startOriel(share: ServeShare): Promise<HostProcess> {
  const { socketPath, sharedDir, tag, window } = share;
  const options = [`--socket-path=${socketPath}`, `--shared-dir=${sharedDir}`, `--tag=${tag}`, `--window=${window}`];
  // Beside the socket: a demonstration leaves nothing behind on the machine.
  options.push(`--state-dir=${dirname(socketPath)}`);
  const backend = HostProcess.start([...program(), 'fs', ...options], { name: 'oriel fs' });
  try {
    await backend.waitOutput(/listening/);
  } catch (error) {
    await backend.stop();
    throw error;
  }
  return backend;
}
