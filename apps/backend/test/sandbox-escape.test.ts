import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canSandbox, type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { keptCapabilities } from '../src/sandbox/capabilities.ts';
import type { SandboxPlan } from '../src/sandbox/sandbox-plan.ts';
import { Program, type ProgramEnd } from './fixtures/program.ts';

const SECRET = 'of the host';

describe('a process that tries to leave its sandbox', function () {
  this.timeout(30_000);
  let dir: TempDir;

  before(function () {
    if (process.getuid?.() !== 0 || !canSandbox()) {
      this.skip();
    }
  });
  beforeEach(() => {
    dir = tempDir();
    mkdirSync(join(dir.path, 'share'));
    writeFileSync(join(dir.path, 'secret'), SECRET);
  });
  afterEach(() => dir[Symbol.dispose]());

  async function run(
    change: Partial<SandboxPlan>,
    only?: string,
  ): Promise<ProgramEnd & { readonly results: Record<string, string> }> {
    const plan: SandboxPlan = {
      name: 'escape',
      guarded: false,
      mode: 'namespace',
      seccomp: 'none',
      capabilities: keptCapabilities(undefined, true),
      uidMap: [],
      gidMap: [],
      sharedDir: join(dir.path, 'share'),
      stateDir: undefined,
      socketGroup: -1,
      fd: undefined,
      sockets: [],
      landlock: false,
      ...change,
    };
    const given = JSON.stringify({ plan, secret: join(dir.path, 'secret'), only });
    const program = new Program('./run-escape.ts', [given]);
    const end = await program.end();
    expect(program.stderr).to.equal('');
    return { ...end, results: program.stdout === '' ? {} : JSON.parse(program.stdout) };
  }

  it('finds nothing of the host by any path or descriptor, and has no rights (namespaces alone)', async () => {
    const { code, results } = await run({});
    expect(code).to.equal(0);
    expect(results).to.deep.equal({
      'read by path': 'ENOENT',
      'read by a path of dots': 'ENOENT',
      'read in another thread': 'ENOENT',
      'read by the root of process 1': 'ENOENT',
      'read by a descriptor': 'ENOENT',
      'write beside the share': 'EROFS',
      'load a module': 'ERR_MODULE_NOT_FOUND',
      'start a program': 'ENOENT',
      mount: 'EPERM',
      'make a namespace': 'EPERM',
      chroot: 'EPERM',
      'chroot in a helper thread': 'EPERM',
      ptrace: 'refused',
      socket: results['socket'],
      io_uring: 'refused',
    });
  });

  it('has only the share for its root (chroot alone)', async () => {
    const { code, results } = await run({ mode: 'chroot' });
    expect(code).to.equal(0);
    expect(results).to.include({
      'read by path': 'ENOENT',
      'read by a path of dots': 'ENOENT',
      'read in another thread': 'ENOENT',
      'read by the root of process 1': 'ENOENT',
      'load a module': 'ERR_MODULE_NOT_FOUND',
      'start a program': 'ENOENT',
      mount: 'EPERM',
      chroot: 'EPERM',
      'chroot in a helper thread': 'EPERM',
      ptrace: 'refused',
      io_uring: 'refused',
    });
  });

  for (const only of ['socket', 'ptrace', 'mount', 'start a program']) {
    it(`is ended by the kernel when it tries: ${only}`, async () => {
      const { signal, results } = await run({ seccomp: 'kill' }, only);
      expect(results).to.deep.equal({});
      expect(signal).to.equal('SIGSYS');
    });
  }

  it('is told so by a signal, or not at all, where that was asked for', async () => {
    expect(await run({ seccomp: 'trap' }, 'socket')).to.include({ signal: 'SIGSYS' });
    expect(await run({ seccomp: 'log' }, 'mount')).to.deep.include({ code: 0, results: { mount: 'EPERM' } });
  });
});
