/** Options of the sandbox, as virtiofsd names them. */
import { resolve } from 'node:path';
import { keptCapabilities } from '../sandbox/capabilities.ts';
import type { IdRange, SandboxPlan } from '../sandbox/sandbox-plan.ts';
import { CliError } from './cli-error.ts';
import { choice, type OptionValues, text } from './option.ts';

/** For a device that can be shut in. */
export const sandboxOptions = {
  sandbox: choice(['namespace', 'chroot', 'none'], 'none', 'what of the host stays reachable: the share alone, or all'),
  seccomp: choice(['default', 'kill', 'log', 'trap', 'none'], 'default', 'what an unexpected system call leads to'),
  modcaps: text('+NAME:-NAME', 'capabilities that are kept, or not, beside the usual ones'),
};

/** Their values, with the maps of the user namespace. */
export type SandboxOptionValues = OptionValues<typeof sandboxOptions> & {
  readonly 'uid-map': readonly IdRange[];
  readonly 'gid-map': readonly IdRange[];
};

/** What the rest of the command line says of the device. */
export interface SandboxNeeds {
  readonly sharedDir: string;
  /** Of crash records; undefined: there are none. */
  readonly stateDir: string | undefined;
  /** A truncation of mapped files must be answered. */
  readonly guarded: boolean;
  readonly fileHandles: 'never' | 'prefer' | 'mandatory';
  /** Of an inherited socket. */
  readonly fd: number | undefined;
  /** The log goes to the system log. */
  readonly syslog: boolean;
  /** The process is started again where it was. */
  readonly restarts: boolean;
  /** The device's and the control socket, as far as this program makes them. */
  readonly sockets: readonly (string | undefined)[];
}

/** @returns the sandbox; null when none is asked for @throws CliError for what does not go together */
export function sandboxPlan(values: SandboxOptionValues, needs: SandboxNeeds): SandboxPlan | null {
  const { sandbox: mode, seccomp, modcaps, 'uid-map': uidMap, 'gid-map': gidMap } = values;
  const { sharedDir, guarded, fileHandles } = needs;
  const maps = uidMap.length + gidMap.length;
  if (mode !== 'namespace' && maps > 0) {
    throw new CliError(`--uid-map and --gid-map are for --sandbox=namespace, not ${mode}`);
  }
  if (mode === 'none') {
    if (modcaps !== undefined || (seccomp !== 'default' && seccomp !== 'none')) {
      throw new CliError(`--${modcaps === undefined ? 'seccomp' : 'modcaps'} goes with --sandbox=namespace or chroot`);
    }
    return null;
  }
  if (guarded) {
    throw new CliError(
      `--sandbox=${mode}: the guard against truncation needs CAP_SYS_ADMIN and the /proc of every process, which a sandbox ` +
        'takes: give --dax-unguarded to do without, --window=0 for no DAX, or --sandbox=none',
    );
  }
  if (maps > 0 && fileHandles === 'mandatory') {
    throw new CliError('--inode-file-handles=mandatory: a user namespace has no file handles: leave --uid-map out');
  }
  for (const [name, ranges] of [
    ['uid-map', uidMap],
    ['gid-map', gidMap],
  ] as const) {
    if (ranges.length > 0 && !ranges.some(({ inside }) => inside === 0)) {
      throw new CliError(`--${name}: nothing becomes id 0 inside, which serves: give --${name} :0:OUTSIDE:COUNT:`);
    }
  }
  if (needs.syslog) {
    throw new CliError(
      `--sandbox=${mode}: the system log is outside: leave --syslog out, and take standard error there`,
    );
  }
  if (mode === 'namespace' && needs.restarts) {
    throw new CliError(
      '--sandbox=namespace: the mounts of a process end with it, and what --restart keeps is told apart by them: ' +
        'give --sandbox=chroot, or --restart=no',
    );
  }
  if (mode === 'chroot' && needs.stateDir !== undefined) {
    throw new CliError(
      '--sandbox=chroot: crash records lie outside: give --dax-tail=copy, --window=0 or --sandbox=namespace',
    );
  }
  if (sharedDir === '/') {
    throw new CliError(`--sandbox=${mode}: the share is the whole host: give a directory in it, or --sandbox=none`);
  }
  return {
    mode,
    seccomp: seccomp === 'default' ? 'kill' : seccomp,
    capabilities: keptCapabilities(modcaps, fileHandles !== 'never' && maps === 0),
    uidMap,
    gidMap,
    sharedDir,
    stateDir: needs.stateDir === undefined ? undefined : resolve(needs.stateDir),
    fd: needs.fd,
    sockets: needs.sockets.filter((path) => path !== undefined),
    landlock: fileHandles === 'never',
  };
}
