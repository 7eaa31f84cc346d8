/** Host commands of the set-up: one call, collected output, a time limit, an error that shows stderr. */
import { execFile } from 'node:child_process';
import { GuestError, tail } from './errors.ts';

/** A program as the harness starts it: through the tree's dynamic loader, or straight from PATH. */
export interface Tool {
  /** argv[0] and the arguments that come before the caller's own. */
  readonly command: readonly string[];
  /** Added to the environment. */
  readonly env: Readonly<Record<string, string>>;
  /** As the program prints it, for example `11.1.3`. */
  readonly version: string;
}

/** How to run a host command. */
export interface ExecOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default 60 000. */
  readonly timeoutMs?: number;
}

/**
 * Runs a host command to its end.
 * @returns its stdout
 * @throws GuestError ERR_GUEST_COMMAND with the tail of stderr, also when it cannot be started or runs out of time
 */
export function exec(command: readonly string[], options: ExecOptions = {}): Promise<string> {
  const [file, ...args] = command as [string, ...string[]];
  return new Promise((resolve, reject) => {
    execFile(
      file,
      args,
      {
        cwd: options.cwd,
        env: { ...process.env, LC_ALL: 'C', ...options.env },
        timeout: options.timeoutMs ?? 60_000,
        killSignal: 'SIGKILL',
        maxBuffer: 64 << 20,
      },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const why = error.killed ? `ran past ${options.timeoutMs ?? 60_000} ms` : `failed (${String(error.code)})`;
        reject(new GuestError('ERR_GUEST_COMMAND', `${command.join(' ')} ${why}\n${tail(stderr || stdout)}`));
      },
    );
  });
}

/** Runs a {@link Tool} with more arguments; see {@link exec}. */
export function execTool(tool: Tool, args: readonly string[], options: ExecOptions = {}): Promise<string> {
  return exec([...tool.command, ...args], { ...options, env: { ...tool.env, ...options.env } });
}
