/** Options of the sandbox, as virtiofsd names them. */
import { resolve } from 'node:path';
import { keptCapabilities } from '../sandbox/capabilities.ts';
import type { IdRange, SandboxPlan } from '../sandbox/sandbox-plan.ts';
import { CliError } from './cli-error.ts';
import { choice, type OptionValues, text } from './option.ts';

/** For a device that can be shut in. */
export const sandboxOptions = {
  sandbox: choice(
    ['namespace', 'chroot', 'none'],
    'namespace',
    'what of the host stays reachable: the share alone, or all',
  ),
  // What was given, and what is so without it, are not the same where there is no sandbox.
  seccomp: {
    ...choice(['kill', 'log', 'trap', 'none'], 'kill', 'what an unexpected system call leads to'),
    fallback: undefined,
  },
  modcaps: text('+NAME:-NAME', 'capabilities that are kept, or not, beside the usual ones'),
};

/** Their values, with the maps of the user namespace. */
export type SandboxOptionValues = OptionValues<typeof sandboxOptions> & {
  readonly 'uid-map': readonly IdRange[];
  readonly 'gid-map': readonly IdRange[];
};

/** What the rest of the command line says of the device. */
export interface SandboxNeeds {
  /** The device's. */
  readonly name: string;
  readonly sharedDir: string;
  /** Of crash records; undefined: there are none. */
  readonly stateDir: string | undefined;
  /** Mapped files are guarded against truncation. */
  readonly guarded: boolean;
  readonly fileHandles: 'never' | 'prefer' | 'mandatory';
  /** Extended attributes are served, whatever for. */
  readonly xattr: boolean;
  /** Of the device's socket; -1: none. */
  readonly socketGroup: number;
  /** Of an inherited socket. */
  readonly fd: number | undefined;
  /** The device's and the control socket, as far as this program makes them. */
  readonly sockets: readonly (string | undefined)[];
}

/** @returns the sandbox; null when none is asked for @throws CliError for what does not go together */
export function sandboxPlan(values: SandboxOptionValues, needs: SandboxNeeds): SandboxPlan | null {
  const { sandbox: mode, seccomp, modcaps, 'uid-map': uidMap, 'gid-map': gidMap } = values;
  const { name, sharedDir, guarded, fileHandles } = needs;
  const maps = uidMap.length + gidMap.length;
  if (mode !== 'namespace' && maps > 0) {
    throw new CliError(`--uid-map and --gid-map are for --sandbox=namespace, not ${mode}`);
  }
  if (mode === 'none') {
    if (modcaps !== undefined || (seccomp !== undefined && seccomp !== 'none')) {
      throw new CliError(`--${modcaps === undefined ? 'seccomp' : 'modcaps'} goes with --sandbox=namespace or chroot`);
    }
    return null;
  }
  if (maps > 0 && fileHandles === 'mandatory') {
    throw new CliError('--inode-file-handles=mandatory: a user namespace has no file handles: leave --uid-map out');
  }
  for (const [option, ranges] of [
    ['uid-map', uidMap],
    ['gid-map', gidMap],
  ] as const) {
    if (ranges.length > 0 && !ranges.some(({ inside }) => inside === 0)) {
      throw new CliError(`--${option}: nothing becomes id 0 inside, which serves: give --${option} :0:OUTSIDE:COUNT:`);
    }
  }
  if (mode === 'chroot' && needs.stateDir !== undefined) {
    throw new CliError(
      '--sandbox=chroot: crash records lie outside: give --dax-tail=copy, --window=0 or --sandbox=namespace',
    );
  }
  if (mode === 'chroot' && needs.xattr) {
    throw new CliError(
      '--sandbox=chroot: extended attributes are reached by /proc, which lies outside: give --sandbox=namespace, or none of ' +
        '--xattr, --xattrmap, --posix-acl and --security-label',
    );
  }
  if (sharedDir === '/') {
    throw new CliError(`--sandbox=${mode}: the share is the whole host: give a directory in it, or --sandbox=none`);
  }
  return {
    name,
    mode,
    seccomp: seccomp ?? 'kill',
    capabilities: keptCapabilities(modcaps, fileHandles !== 'never' && maps === 0),
    uidMap,
    gidMap,
    sharedDir,
    guarded,
    stateDir: needs.stateDir === undefined ? undefined : resolve(needs.stateDir),
    socketGroup: needs.socketGroup,
    fd: needs.fd,
    sockets: needs.sockets.filter((path) => path !== undefined),
    landlock: fileHandles === 'never',
  };
}
