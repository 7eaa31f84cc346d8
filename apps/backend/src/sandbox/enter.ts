/**
 * From a process with all rights to one that can be shut in: what threads cannot do for each other is done while there is only
 * one that counts, and then the program begins anew in its place, by execve(2), so its process id, its descriptors and its
 * starter (systemd, `--restart`) stay what they are.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import {
  CAP_SYS_ADMIN,
  CAP_SYS_CHROOT,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  check,
  errnoName,
  type Logger,
  PR_CAPBSET_DROP,
  PR_SET_NO_NEW_PRIVS,
  SECCOMP_RET_ALLOW,
  type Sys,
  seccompFilter,
} from '@oriel/sys';
import { CliError } from '../cli/cli-error.ts';
import { moduleUrl } from '../module-url.ts';
import { refusedCalls } from './allowed-calls.ts';
import { CAPABILITY_COUNT, capabilityWords } from './capabilities.ts';
import { Door, type Outsider, type Outsiders } from './door.ts';
import { mountKept } from './mount-tree.ts';
import type { IdRange, SandboxPlan } from './sandbox-plan.ts';

/** Tells the program that it began anew, and with what: see `Mark`. */
const MARK = 'ORIEL_SANDBOX';
/** `SD_LISTEN_FDS_START` (sd_listen_fds(3)). */
const FIRST_RECEIVED = 3;

/** How far it is: `user`: in its user namespace; `inside`: all that is done before the program is loaded. */
type Mark = { readonly pid: number } & Step;
type Step = { readonly stage: 'user' } | { readonly stage: 'inside'; readonly outsiders: Outsiders };

/**
 * Reads one line a socket file, its device and inode, and removes the file if it is still that one. It ends without doing so
 * when its writer is gone: whoever starts the program again goes on with the files.
 */
const CLEANER =
  'for f do read -r id || exit 0; [ "$(stat -c %d:%i -- "$f" 2>/dev/null)" = "$id" ] && rm -f -- "$f"; done';

function takeMark(): Mark | null {
  const text = process.env[MARK];
  delete process.env[MARK];
  const mark = text === undefined ? null : (JSON.parse(text) as Mark);
  // An environment is inherited; a process is not.
  return mark?.pid === process.pid ? mark : null;
}

/** Node keeps what it was started with from its children, and so from its successor. */
function passOn(sys: Pick<Sys, 'fd'>, { fd }: SandboxPlan): void {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  const received = pid === String(process.pid) ? Number(count) : 0;
  const fds = Array.from({ length: received }, (_, index) => FIRST_RECEIVED + index);
  for (const one of fd === undefined ? fds : [...fds, fd]) {
    check(sys.fd.setCloexec(one, false), `descriptor ${one}`);
  }
}

function beginAnew(sys: Pick<Sys, 'fd'>, plan: SandboxPlan, command: readonly string[], step: Step): never {
  passOn(sys, plan);
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const words = [...command, ...program];
  process.execve!(words[0]!, words, {
    ...process.env,
    [MARK]: JSON.stringify({ pid: process.pid, ...step }),
  });
  throw new Error('execve came back');
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

/** Whether this thread has a capability. */
function has({ cred }: Pick<Sys, 'cred'>, capability: number): boolean {
  const words = new Uint32Array(2);
  check(cred.capgetEffective(words), 'capget');
  return (words[0]! & (1 << capability)) !== 0;
}

/** Options of unshare(1) for one kind of id. @throws CliError */
function mapOptions(kind: 'user' | 'group', ranges: readonly IdRange[], own: number): readonly string[] {
  const [first] = ranges;
  if (
    first === undefined ||
    (ranges.length === 1 && first.count === 1 && first.outside === own && first.inside === 0)
  ) {
    return [`--map-${kind}=0`];
  }
  const tool = kind === 'user' ? 'newuidmap' : 'newgidmap';
  if (find(tool) === null) {
    throw new CliError(`--${kind[0]}id-map: more than this user's own id takes ${tool}: install it (package uidmap)`);
  }
  return ranges.map(({ inside, outside, count }) => `--map-${kind}s=${outside},${inside},${count}`);
}

/** Begins anew as root of a user namespace. @throws CliError */
function enterUserNamespace(sys: Pick<Sys, 'fd'>, plan: SandboxPlan): never {
  const unshare = find('unshare');
  if (unshare === null) {
    throw new CliError('--sandbox=namespace: a user namespace takes unshare(1) of util-linux: install it');
  }
  const users = mapOptions('user', plan.uidMap, process.getuid!());
  const groups = mapOptions('group', plan.gidMap, process.getgid!());
  beginAnew(sys, plan, [unshare, '--user', ...users, ...groups, '--'], { stage: 'user' });
}

/** Starts somebody who waits for a line; the descriptor to write it to outlives execve. */
function startOutsider(sys: Pick<Sys, 'fd'>, command: readonly string[]): Outsider {
  const pipe = new Int32Array(2);
  check(sys.fd.pipe(pipe), 'pipe2');
  const child = spawn(command[0]!, command.slice(1), {
    stdio: [pipe[0]!, 'ignore', 'inherit'],
    detached: true,
  });
  sys.fd.close(pipe[0]!);
  if (child.pid === undefined) {
    throw new Error(`cannot start ${command[0]}`);
  }
  check(sys.fd.setCloexec(pipe[1]!, false), 'fcntl');
  return { pid: child.pid, fd: pipe[1]! };
}

/** Leaves every thread to come with these capabilities, no way to more, and without io_uring. @throws SysError */
function limitCapabilities({ sandbox }: Pick<Sys, 'sandbox'>, kept: readonly number[]): void {
  for (let number = 0; number < CAPABILITY_COUNT; number++) {
    if (!kept.includes(number)) {
      // Beyond the last one that this kernel knows the call fails, and there is nothing to drop.
      sandbox.prctl(PR_CAPBSET_DROP, number, 0, 0, 0);
    }
  }
  check(sandbox.setCapabilities(capabilityWords(kept)), 'capset');
  check(sandbox.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl');
  // A ring takes requests that no filter sees, so Node must not even begin with one.
  check(sandbox.loadFilter(seccompFilter(refusedCalls(process.arch), SECCOMP_RET_ALLOW, process.arch), 0), 'seccomp');
}

function makeNamespaces(sys: Sys, plan: SandboxPlan): Outsider {
  const result = sys.cred.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC);
  if (result < 0) {
    throw new CliError(
      `--sandbox=namespace: this process may not make namespaces (${errnoName(-result)}): ` +
        'start it where it may, or give --sandbox=chroot or --sandbox=none',
    );
  }
  const { sharedDir, stateDir } = plan;
  const tree = { sharedDir, stateDir, pid: process.pid };
  mountKept(sys.sandbox, tree);
  const pivot = moduleUrl('sandbox/pivot').pathname;
  return startOutsider(sys, [process.execPath, ...process.execArgv, pivot, JSON.stringify(tree)]);
}

/**
 * Does the next step into the sandbox: the program begins anew (this never returns then), or has done so.
 * @returns the door to be closed once the program serves
 * @throws CliError when this host or user cannot have such a sandbox
 */
export function enterSandbox(sys: Sys, plan: SandboxPlan, log: Logger): Door {
  const mark = takeMark();
  if (mark?.stage === 'inside') {
    // A working directory elsewhere would be a way out.
    process.chdir('/');
    return new Door(sys, plan, mark.outsiders);
  }
  const { mode, uidMap, gidMap, capabilities } = plan;
  const wanted = mode === 'namespace' ? CAP_SYS_ADMIN : CAP_SYS_CHROOT;
  if (mode === 'namespace' && mark === null && (!has(sys, wanted) || uidMap.length + gidMap.length > 0)) {
    log.debug('sandbox: a user namespace is made');
    enterUserNamespace(sys, plan);
  }
  if (!has(sys, wanted)) {
    throw new CliError(
      `--sandbox=${mode}: this process lacks the capability: start it as root, or give another sandbox`,
    );
  }
  const cleaner = startOutsider(sys, ['/bin/sh', '-c', CLEANER, 'sh', ...plan.sockets]);
  const pivot = mode === 'namespace' ? makeNamespaces(sys, plan) : null;
  limitCapabilities(sys, mode === 'chroot' ? [...capabilities, CAP_SYS_CHROOT] : capabilities);
  beginAnew(sys, plan, [], { stage: 'inside', outsiders: { pivot, cleaner } });
}
