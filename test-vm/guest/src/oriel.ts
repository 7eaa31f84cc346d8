/** `oriel fs`, the back-end under test: the real program, from the sources of this checkout. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostProcess } from './process.ts';

/** What to serve; `args` are more options of `oriel fs`. */
export interface OrielFsOptions {
  readonly socketPath: string;
  readonly sharedDir: string;
  /** Default `share`. */
  readonly tag?: string;
  /** As on the command line; '0' for no window. */
  readonly window?: string;
  readonly args?: readonly string[];
  /** Default: where the socket is. */
  readonly stateDir?: string;
  /** Default `info`. */
  readonly logLevel?: 'info' | 'debug' | 'trace';
}

const MAIN = fileURLToPath(new URL('../../../apps/backend/src/main.ts', import.meta.url));

/**
 * Starts `oriel fs` and waits until it listens. It serves one front-end after another.
 * @throws GuestError ERR_GUEST_EXITED with its words, ERR_GUEST_TIMEOUT
 */
export async function startOrielFs(options: OrielFsOptions): Promise<HostProcess> {
  const command = [
    process.execPath,
    '--conditions=@oriel/source',
    '--disable-warning=ExperimentalWarning',
    MAIN,
    'fs',
    `--socket-path=${options.socketPath}`,
    `--shared-dir=${options.sharedDir}`,
    `--tag=${options.tag ?? 'share'}`,
    `--state-dir=${options.stateDir ?? dirname(options.socketPath)}`,
    ...(options.window === undefined ? [] : [`--window=${options.window}`]),
    `--log-level=${options.logLevel ?? 'info'}`,
    ...(options.args ?? []),
  ];
  const backend = HostProcess.start(command, { name: 'oriel fs' });
  try {
    await backend.waitOutput(/listening/);
  } catch (error) {
    await backend.stop();
    throw error;
  }
  return backend;
}
