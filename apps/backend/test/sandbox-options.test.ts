import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { CliError } from '../src/cli/cli-error.ts';
import { planRun } from '../src/commands/run.ts';
import { readArguments } from '../src/program.ts';
import { capabilityWords, keptCapabilities } from '../src/sandbox/capabilities.ts';
import type { SandboxPlan } from '../src/sandbox/sandbox-plan.ts';
import { groupInside } from '../src/sandbox/user-namespace.ts';

describe('the sandbox options', () => {
  let dir: TempDir;
  let share: string;
  before(() => {
    dir = tempDir();
    share = join(dir.path, 'share');
    mkdirSync(share);
  });
  after(() => dir[Symbol.dispose]());

  function plan(...args: string[]): SandboxPlan | null {
    const usual = [`--socket-path=${dir.path}/s`, '--tag=t', `--state-dir=${dir.path}/state`];
    const where = args.some((arg) => arg.startsWith('--shared-dir=')) ? [] : [`--shared-dir=${share}`];
    const request = readArguments(['fs', ...usual, ...where, ...args]);
    return request.kind === 'run' ? request.sandbox : null;
  }

  it('ask for namespaces, unless given, with a guard that works from outside', () => {
    expect(plan()).to.deep.include({ mode: 'namespace', seccomp: 'kill', guarded: true });
    expect(plan('--dax-unguarded')).to.deep.include({ guarded: false });
    expect(plan('--readonly')).to.deep.include({ guarded: false });
    expect(plan('--sandbox=none', '--seccomp=none')).to.equal(null);
  });

  it('are a plan with the defaults of virtiofsd', () => {
    expect(plan('--sandbox=namespace', '--window=0', `--control-socket=${dir.path}/c`)).to.deep.equal({
      name: 'fs',
      guarded: false,
      mode: 'namespace',
      seccomp: 'kill',
      capabilities: [0, 1, 2, 3, 4, 6, 7, 27, 31],
      uidMap: [],
      gidMap: [],
      sharedDir: share,
      stateDir: undefined,
      socketGroup: -1,
      fd: undefined,
      sockets: [`${dir.path}/s`, `${dir.path}/c`],
      landlock: false,
    });
    const grown = plan('--sandbox=namespace', '--dax-unguarded', '--dax-tail=grow', '--inode-file-handles=never');
    expect(grown).to.deep.include({ stateDir: `${dir.path}/state`, landlock: true });
    expect(plan('--sandbox=namespace', '--window=0', '--uid-map=:0:1000:1:', '--seccomp=log')).to.deep.include({
      seccomp: 'log',
      uidMap: [{ inside: 0, outside: 1000, count: 1 }],
      capabilities: [0, 1, 3, 4, 6, 7, 27, 31],
    });
  });

  const refusals: Readonly<Record<string, readonly string[]>> = {
    'for --sandbox=namespace, not none': ['--sandbox=none', '--uid-map=:0:1:1:'],
    'for --sandbox=namespace, not chroot': ['--sandbox=chroot', '--window=0', '--gid-map=:0:1:1:'],
    '--seccomp goes with': ['--sandbox=none', '--seccomp=kill'],
    '--modcaps goes with': ['--sandbox=none', '--modcaps=+kill'],
    'has no file handles': [
      ...['--sandbox=namespace', '--window=0', '--uid-map=:0:1:1:'],
      '--inode-file-handles=mandatory',
    ],
    'nothing becomes id 0': ['--sandbox=namespace', '--window=0', '--uid-map=:5:1:1:'],
    'extended attributes are reached by /proc': ['--sandbox=chroot', '--window=0', '--posix-acl'],
    'crash records lie outside': ['--sandbox=chroot', '--dax-unguarded', '--dax-tail=grow'],
    "--modcaps: 'kill'": ['--sandbox=namespace', '--window=0', '--modcaps=kill'],
    "'+wings'": ['--sandbox=namespace', '--window=0', '--modcaps=-mknod:+wings'],
    'the share is the whole host': ['--sandbox=namespace', '--window=0', '--shared-dir=/'],
  };
  for (const [text, args] of Object.entries(refusals)) {
    it(`do not go together: ${text}`, () => {
      expect(() => plan(...args)).to.throw(CliError, text);
    });
  }

  it('number the group of the socket as the user namespace does', () => {
    const gidMap = [
      { inside: 0, outside: 1000, count: 1 },
      { inside: 1, outside: 100_000, count: 10 },
    ];
    expect(groupInside({ gidMap, socketGroup: -1 })).to.equal(-1);
    expect(groupInside({ gidMap, socketGroup: 1000 })).to.equal(0);
    expect(groupInside({ gidMap, socketGroup: 100_009 })).to.equal(10);
    expect(() => groupInside({ gidMap, socketGroup: 100_010 })).to.throw(CliError, '--socket-group: group 100010');
    expect(() => groupInside({ gidMap, socketGroup: 0 })).to.throw(CliError, '--gid-map');
    expect(groupInside({ gidMap: [], socketGroup: process.getgid!() }), 'a user without maps').to.equal(0);
  });

  it('are not for one of several devices, which have none', () => {
    const none = `fs,socket-path=${dir.path}/s,shared-dir=${share},tag=t,window=0`;
    expect(planRun(['--device', none]).sandbox).to.equal(null);
    const device = `fs,socket-path=${dir.path}/s,shared-dir=${share},tag=t,window=0,sandbox=chroot`;
    expect(() => planRun(['--device', device])).to.throw(CliError, "a sandbox is a process's");
  });

  it('change capabilities by name', () => {
    expect(keptCapabilities('-chown:+CAP_SYS_RESOURCE:+bpf', false)).to.deep.equal([1, 3, 4, 6, 7, 24, 27, 31, 39]);
    expect([...capabilityWords([0, 31, 39])]).to.deep.equal([0x8000_0001, 0x80, 0x8000_0001, 0x80, 0x8000_0001, 0x80]);
  });
});
