/** The program that is run with the socket. */
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { ProxyError } from './errors.ts';

const SIGNAL_STATUS = 128;

/** Runs it to its end; signals that ask to end are passed on. @returns its status as a shell gives it @throws ProxyError ERR_PROXY_USAGE */
export function runCommand(command: readonly string[], socket: string): Promise<number> {
  const [file, ...args] = command;
  const child = spawn(file!, args, { stdio: 'inherit', env: { ...process.env, WAYLAND_DISPLAY: socket } });
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, pass);
  return new Promise((resolve, reject) => {
    child.once('error', (cause) => reject(new ProxyError('ERR_PROXY_USAGE', cause.message, undefined, { cause })));
    child.once('exit', (code, signal) => resolve(code ?? SIGNAL_STATUS + constants.signals[signal!]));
  });
}
