/**
 * From a process with all rights to one that can be shut in: what threads cannot do for each other is done while there is only
 * one that counts, and then the program begins anew in its place, by execve(2), so its process id, its descriptors and its
 * starter (systemd, `--restart`) stay what they are.
 */
import { readdirSync } from 'node:fs';
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
import { checkGuard } from '../dax-guard.ts';
import { refusedCalls } from './allowed-calls.ts';
import { CAPABILITY_COUNT, capabilityWords } from './capabilities.ts';
import { startCleaner } from './cleaner.ts';
import { Door, type Outsiders } from './door.ts';
import type { GuardEnds } from './guard/guard-ends.ts';
import { lastingShare } from './lasting-share.ts';
import { type FoundBefore, type Step, takeMark, withMark } from './mark.ts';
import { keepMountsApart, mountKept } from './mount-tree.ts';
import { ownProgram, startKeeper, startOutsider } from './outsider.ts';
import type { SandboxPlan } from './sandbox-plan.ts';
import { groupInside, type NamespaceCommand, userNamespaceCommand } from './user-namespace.ts';

/** `SD_LISTEN_FDS_START` (sd_listen_fds(3)). */
const FIRST_RECEIVED = 3;

/** What the next one needs of this one's descriptors. */
function descriptorsOf(step: Step): readonly number[] {
  const guard = step.stage === 'user' ? step.guard : step.outsiders.guard;
  const all = guard === null ? [] : [guard.calls, guard.events];
  if (step.stage === 'inside') {
    const { pivot, cleaner, share } = step.outsiders;
    all.push(cleaner.fd, cleaner.reply, ...(pivot === null ? [] : [pivot.fd]), ...(share === null ? [] : [share]));
  }
  return all;
}

/** To the successor; nothing else that this process has open, or was started with by mistake. */
function passOn(sys: Pick<Sys, 'fd'>, { fd }: SandboxPlan, more: readonly number[]): void {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = process.env;
  const received = pid === String(process.pid) ? Number(count) : 0;
  const fds = Array.from({ length: received }, (_, index) => FIRST_RECEIVED + index);
  for (const one of readdirSync('/proc/self/fd').map(Number)) {
    // The listing's own is closed by now.
    if (one >= FIRST_RECEIVED) sys.fd.setCloexec(one, true);
  }
  for (const one of [...fds, ...(fd === undefined ? [] : [fd]), ...more]) {
    check(sys.fd.setCloexec(one, false), `descriptor ${one}`);
  }
}

function beginAnew(
  sys: Pick<Sys, 'fd'>,
  plan: SandboxPlan,
  command: NamespaceCommand,
  step: Step,
  found: FoundBefore = plan,
): never {
  passOn(sys, plan, [...command.fds, ...descriptorsOf(step)]);
  const program = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const words = [...command.words, ...program];
  process.execve!(
    words[0]!,
    words,
    withMark({ ...step, found: { stateDir: found.stateDir, socketGroup: found.socketGroup } }),
  );
  throw new Error('execve came back');
}

/** Whether this thread has a capability. */
function has({ cred }: Pick<Sys, 'cred'>, capability: number): boolean {
  const words = new Uint32Array(2);
  check(cred.capgetEffective(words), 'capget');
  return (words[0]! & (1 << capability)) !== 0;
}

/** While this process has all its rights. @throws CliError where files cannot be guarded */
function startGuard(sys: Sys, { guarded, sharedDir }: SandboxPlan): GuardEnds | null {
  if (!guarded) {
    return null;
  }
  checkGuard(sys, sharedDir, 'auto');
  return startKeeper(sys);
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

/** @param holds - a launcher may hold the mounts of the share */
function makeNamespaces(sys: Sys, plan: SandboxPlan, log: Logger, holds: boolean): Pick<Outsiders, 'pivot' | 'share'> {
  const result = sys.cred.unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC);
  if (result < 0) {
    throw new CliError(
      `--sandbox=namespace: this process may not make namespaces (${errnoName(-result)}): ` +
        'start it where it may, or give --sandbox=chroot or --sandbox=none',
    );
  }
  keepMountsApart(sys.sandbox);
  const share = holds ? lastingShare(sys, plan, log) : null;
  const { sharedDir, stateDir } = plan;
  const tree = { sharedDir: share === null ? sharedDir : undefined, stateDir, pid: process.pid };
  mountKept(sys.sandbox, tree);
  return { pivot: startOutsider(sys, ownProgram('sandbox/pivot', JSON.stringify(tree))), share };
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
  const guard = mark === null ? startGuard(sys, plan) : mark.guard;
  if (mode === 'namespace' && mark === null && (!has(sys, wanted) || uidMap.length + gidMap.length > 0)) {
    log.debug('sandbox: a user namespace is made');
    const found = { stateDir: plan.stateDir, socketGroup: groupInside(plan) };
    beginAnew(sys, plan, userNamespaceCommand(sys, plan), { stage: 'user', guard }, found);
  }
  if (!has(sys, wanted)) {
    throw new CliError(
      `--sandbox=${mode}: this process lacks the capability: start it as root, or give another sandbox`,
    );
  }
  const cleaner = startCleaner(sys, plan.sockets);
  const made = mode === 'namespace' ? makeNamespaces(sys, plan, log, mark === null) : { pivot: null, share: null };
  limitCapabilities(sys, mode === 'chroot' ? [...capabilities, CAP_SYS_CHROOT] : capabilities);
  beginAnew(sys, plan, { words: [], fds: [] }, { stage: 'inside', outsiders: { ...made, cleaner, guard } });
}
