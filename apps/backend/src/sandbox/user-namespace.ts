/** Being root of a user namespace: by unshare(1), since only a process of one thread may make one. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { check, type Sys } from '@oriel/sys';
import { CliError } from '../cli/cli-error.ts';
import { startOutsider } from './outsider.ts';
import type { IdRange, SandboxPlan } from './sandbox-plan.ts';

/** Maps ids of process $1 when it is told to, and says so when it has. */
const ROOT_MAPS =
  'read -r go || exit; printf "%s\\n" "$2" >/proc/$1/uid_map && printf "%s\\n" "$3" >/proc/$1/gid_map && echo';
const TOOLS_MAP = 'read -r go || exit; newuidmap "$1" $2 && newgidmap "$1" $3 && echo';
/** In the namespace: has ids mapped by the one at $1, hears of it at $2, and goes on. */
const MAPPED =
  'echo >"$1"; read -r reply <"$2" || { echo "oriel: --uid-map, --gid-map: these ids cannot be mapped" >&2; exit 2; }; shift 2; exec "$@"';

const NO_GROUP = -1;

/** A command that runs what follows in the namespace, and the descriptors that it needs. */
export interface NamespaceCommand {
  readonly words: readonly string[];
  readonly fds: readonly number[];
}

function find(name: string): string | null {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin']) {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return join(directory, name);
    } catch {
      // Not there.
    }
  }
  return null;
}

/** @throws CliError */
function mustFind(name: string, what: string, from: string): string {
  const found = find(name);
  if (found === null) {
    throw new CliError(`${what} takes ${name}(1): install it (${from}), or give --sandbox=none`);
  }
  return found;
}

/** Whether a map is what every user may have: root inside is this user. */
function isPlain(ranges: readonly IdRange[], own: number): boolean {
  const [first] = ranges;
  return (
    first === undefined || (ranges.length === 1 && first.count === 1 && first.outside === own && first.inside === 0)
  );
}

/** A map, or the one of a user who gives none. */
function rangesOf(given: readonly IdRange[], own: number): readonly IdRange[] {
  return given.length === 0 ? [{ inside: 0, outside: own, count: 1 }] : given;
}

/** As uid_map and newuidmap have it. */
function mapText(ranges: readonly IdRange[], own: number): string {
  return rangesOf(ranges, own)
    .map(({ inside, outside, count }) => `${inside} ${outside} ${count}`)
    .join('\n');
}

/**
 * The number that the group of the socket has inside, where the socket is made.
 * @throws CliError for a group that has none there
 */
export function groupInside({ gidMap, socketGroup }: Pick<SandboxPlan, 'gidMap' | 'socketGroup'>): number {
  if (socketGroup === NO_GROUP) {
    return NO_GROUP;
  }
  const ranges = rangesOf(gidMap, process.getgid!());
  const range = ranges.find(({ outside, count }) => socketGroup >= outside && socketGroup < outside + count);
  if (range === undefined) {
    throw new CliError(
      `--socket-group: group ${socketGroup} is none of the sandbox's user namespace: give a --gid-map with it, ` +
        'a socket by --fd, or --sandbox=none',
    );
  }
  return range.inside + (socketGroup - range.outside);
}

/**
 * While this process is still outside: it is to become the command.
 * @throws CliError where this user cannot have such a namespace; SysError
 */
export function userNamespaceCommand(sys: Pick<Sys, 'fd'>, { uidMap, gidMap }: SandboxPlan): NamespaceCommand {
  const unshare = mustFind('unshare', '--sandbox=namespace: a user namespace', 'package util-linux');
  const [uid, gid] = [process.getuid!(), process.getgid!()];
  const { status, stderr } = spawnSync(unshare, ['--user', '--map-user=0', 'true'], { encoding: 'utf8' });
  if (status !== 0) {
    throw new CliError(
      `--sandbox=namespace: this user may not make user namespaces here (${stderr.trim().split('\n')[0]}): ` +
        'start it where they may be made, or as root, or give --sandbox=none',
    );
  }
  if (isPlain(uidMap, uid) && isPlain(gidMap, gid)) {
    return { words: [unshare, '--user', '--map-user=0', '--map-group=0', '--'], fds: [] };
  }
  const setpriv = mustFind('setpriv', '--uid-map', 'package util-linux');
  if (uid !== 0) {
    for (const tool of ['newuidmap', 'newgidmap']) {
      mustFind(tool, "--uid-map, --gid-map: more than this user's own id", 'package uidmap');
    }
  }
  const reply = new Int32Array(2);
  check(sys.fd.pipe(reply), 'pipe2');
  const maps = [String(process.pid), mapText(uidMap, uid), mapText(gidMap, gid)];
  const mapper = startOutsider(sys, ['/bin/sh', '-c', uid === 0 ? ROOT_MAPS : TOOLS_MAP, 'sh', ...maps], reply[1]!);
  sys.fd.close(reply[1]!);
  const inside = ['/bin/sh', '-c', MAPPED, 'sh', `/proc/self/fd/${mapper.fd}`, `/proc/self/fd/${reply[0]}`];
  const become = [setpriv, '--reuid=0', '--regid=0', '--clear-groups', '--'];
  return {
    words: [unshare, '--user', '--keep-caps', '--', ...inside, ...become],
    fds: [mapper.fd, reply[0]!],
  };
}
