/** `--restart=on-failure`: this program as its own launcher. */
import { type Logger, openSys } from '@oriel/sys';
import { launch } from './launcher.ts';

/** Tells the child that it is one: its arguments are the same. */
const MARK = 'ORIEL_LAUNCHED';

/** True in a process that `launchSelf` started. */
export function isLaunched(): boolean {
  return process.env[MARK] === String(process.ppid);
}

/** Runs this program with its own arguments as a child. @returns the exit status */
export function launchSelf(log: Logger): Promise<number> {
  const [node, ...rest] = process.argv;
  const command = [node!, ...process.execArgv, ...rest];
  return launch(openSys(), { command, env: { ...process.env, [MARK]: String(process.pid) } }, log);
}
