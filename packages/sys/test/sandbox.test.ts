import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { describe, it } from 'mocha';
import {
  CAP_CHOWN,
  ECHILD,
  EINVAL,
  ENOENT,
  ENOSYS,
  EPERM,
  LANDLOCK_CREATE_RULESET_VERSION,
  openSys,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_TRAP,
  SYS,
  seccompFilter,
} from '../src/index.ts';
import { tempDir } from '../src/testing/index.ts';
import { CHILD_MS, runChild } from './run-child.ts';
import { runInWorker } from './run-in-worker.ts';

const { sandbox } = openSys();
const isRoot = process.getuid?.() === 0;
const nowhere = new TextEncoder().encode('/nonexistent/oriel\0');
const X86_64 = 0xc000003e;

/** What a filter answers, by the kernel's rules for classic BPF (Documentation/networking/filter.rst). */
function judge(filter: Uint8Array, arch: number, nr: number, args: readonly number[] = []): number {
  const view = new DataView(filter.buffer);
  const data = new DataView(new ArrayBuffer(64));
  data.setInt32(0, nr, true);
  data.setUint32(4, arch, true);
  for (const [index, arg] of args.entries()) {
    data.setUint32(16 + 8 * index, arg, true);
    data.setUint32(20 + 8 * index, 0xdead_beef, true);
  }
  let accumulator = 0;
  for (let at = 0; ; at += 8) {
    const k = view.getUint32(at + 4, true);
    const jump = (yes: boolean): number => 8 * view.getUint8(at + (yes ? 2 : 3));
    switch (view.getUint16(at, true)) {
      case 0x20:
        accumulator = data.getUint32(k, true);
        break;
      case 0x54:
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x15:
        at += jump(accumulator === k);
        break;
      case 0x35:
        at += jump(accumulator >= k);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`no such instruction at ${at}`);
    }
  }
}

describe('sandbox', function () {
  this.timeout(2 * CHILD_MS);
  it('answers with negative error numbers', () => {
    expect(sandbox.mount(0, nowhere, 0, 0, 0)).to.be.oneOf([-ENOENT, -EPERM]);
    expect(sandbox.umount2(nowhere, 0)).to.be.oneOf([-ENOENT, -EPERM]);
    expect(sandbox.pivotRoot(nowhere, nowhere)).to.be.oneOf([-ENOENT, -EPERM]);
    expect(sandbox.chdir(nowhere)).to.equal(-ENOENT);
    expect(sandbox.chroot(nowhere)).to.equal(-ENOENT);
    expect(sandbox.prctl(-1, 0, 0, 0, 0)).to.equal(-EINVAL);
    expect(sandbox.waitChild(process.pid)).to.equal(-ECHILD);
    expect(sandbox.loadFilter(new Uint8Array(0), 0)).to.be.oneOf([-EINVAL, -EPERM]);
    expect(sandbox.landlockAddPath(-1, new Uint8Array(12))).to.be.lessThan(0);
    expect(sandbox.landlockRestrictSelf(-1, 0)).to.be.lessThan(0);
  });

  it('waits for a child', async () => {
    const { code, stdout } = await runChild(`
      import { spawn } from 'node:child_process';
      const child = spawn('/bin/sh', ['-c', 'exit 3']);
      process.stdout.write(String(openSys().sandbox.waitChild(child.pid)));
      process.exit(0);
    `);
    expect({ code, stdout }).to.deep.equal({ code: 0, stdout: String(3 << 8) });
  });

  it('takes capabilities from this thread alone', async function () {
    if (!isRoot) this.skip();
    const words = await runInWorker<number[]>(`
      const { sandbox, cred } = openSys();
      const result = sandbox.setCapabilities(Uint32Array.of(1, 0, 3, 0, 1, 0));
      const now = new Uint32Array(2);
      cred.capgetEffective(now);
      parentPort.postMessage([result, ...now, sandbox.setCapabilities(Uint32Array.of(7, 0, 7, 0, 0, 0))]);
    `);
    expect(words).to.deep.equal([0, 1 << CAP_CHOWN, 0, -EPERM]);
    const here = new Uint32Array(2);
    openSys().cred.capgetEffective(here);
    expect(here[0]).to.not.equal(1);
  });

  it('confines a thread to a directory, and no other thread', async function () {
    if (sandbox.landlockCreateRuleset(0, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1) this.skip();
    using dir = tempDir();
    mkdirSync(join(dir.path, 'in'));
    writeFileSync(join(dir.path, 'in/file'), 'in');
    writeFileSync(join(dir.path, 'out'), 'out');
    const seen = await runInWorker<string[]>(
      `import { openSync, readFileSync } from 'node:fs';
      const { sandbox } = openSys();
      const attr = new BigUint64Array([0x1fffn]);
      const ruleset = sandbox.landlockCreateRuleset(attr, 8, 0);
      const rule = new DataView(new ArrayBuffer(12));
      rule.setBigUint64(0, 0x1ffen, true);
      rule.setInt32(8, openSync(workerData + '/in', 'r'), true);
      const results = [
        sandbox.landlockAddPath(ruleset, rule),
        sandbox.prctl(38, 1, 0, 0, 0),
        sandbox.landlockRestrictSelf(ruleset, 0),
      ];
      const read = (path) => { try { return readFileSync(path, 'utf8'); } catch (error) { return error.code; } };
      parentPort.postMessage([results.join(), read(workerData + '/in/file'), read(workerData + '/out')]);`,
      dir.path,
    );
    expect(seen).to.deep.equal(['0,0,0', 'in', 'EACCES']);
  });
});

describe('seccompFilter', function () {
  this.timeout(2 * CHILD_MS);
  it('has these bytes', () => {
    const filter = seccompFilter([{ nr: 1 }, { nr: 2, errno: 38 }], SECCOMP_RET_TRAP, 'arm64');
    const words = new Uint32Array(filter.buffer);
    expect([...words].map((word) => word.toString(16))).to.deep.equal([
      ...['20', '4', '10015', 'c00000b7', '6', '80000000', '20', '0'],
      ...['1000015', '1', '6', '7fff0000', '1000015', '2', '6', '50026', '6', '30000'],
    ]);
  });

  it('decides as its rules say, whatever they are', () => {
    const value = fc.integer({ min: 0, max: 0xffff_ffff });
    const when = fc.record({ arg: fc.integer({ min: 0, max: 5 }), values: fc.array(value, { maxLength: 40 }) });
    const rule = fc.record({ nr: fc.integer({ min: 0, max: 500 }), when: fc.option(when, { nil: undefined }) });
    const rules = fc.uniqueArray(rule, { selector: ({ nr }) => nr, maxLength: 60 });
    fc.assert(
      fc.property(
        rules,
        fc.integer({ min: 0, max: 500 }),
        fc.array(value, { minLength: 6, maxLength: 6 }),
        (all, nr, args) => {
          const plain = all.map(({ nr: of, when: if_ }) => (if_ === undefined ? { nr: of } : { nr: of, when: if_ }));
          const filter = seccompFilter(plain, SECCOMP_RET_TRAP, 'x64');
          const found = plain.find((one) => one.nr === nr);
          const allowed =
            found !== undefined && (found.when === undefined || found.when.values.includes(args[found.when.arg]!));
          expect(judge(filter, X86_64, nr, args)).to.equal(allowed ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP);
          for (const hit of found?.when?.values ?? []) {
            const given = args.with(found!.when!.arg, hit);
            expect(judge(filter, X86_64, nr, given)).to.equal(SECCOMP_RET_ALLOW);
          }
        },
      ),
    );
  });

  it('looks at the masked bits, refuses x32 calls and ends those of another architecture', () => {
    const filter = seccompFilter(
      [{ nr: 56, when: { arg: 0, mask: 0x10000, values: [0x10000] } }],
      SECCOMP_RET_TRAP,
      'x64',
    );
    expect(judge(filter, X86_64, 56, [0x10f00])).to.equal(SECCOMP_RET_ALLOW);
    expect(judge(filter, X86_64, 56, [0x00f00])).to.equal(SECCOMP_RET_TRAP);
    expect(judge(filter, X86_64, 0x4000_0038, [0x10000])).to.equal(SECCOMP_RET_TRAP);
    expect(judge(filter, 0x4000_0003, 56, [0x10000])).to.equal(0x8000_0000);
  });

  it('refuses a call under its x32 number, too, where all others may be made', () => {
    const filter = seccompFilter([{ nr: 161, errno: EPERM }], SECCOMP_RET_ALLOW, 'x64');
    expect(judge(filter, X86_64, 161, [])).to.equal(0x5_0000 | EPERM);
    expect(judge(filter, X86_64, 80, [])).to.equal(SECCOMP_RET_ALLOW);
    expect(judge(filter, X86_64, 0x4000_0000 | 161, [])).to.equal(0x5_0000 | ENOSYS);
  });

  it('refuses what it cannot build', () => {
    expect(() => seccompFilter([], 0, 'mips')).to.throw(RangeError, 'mips');
    const values = Array.from({ length: 251 }, (_, index) => index);
    expect(() => seccompFilter([{ nr: 1, when: { arg: 0, values } }], 0, 'x64')).to.throw(RangeError, '251');
  });

  it('is kept by the kernel, for every thread', async () => {
    const filter = seccompFilter([{ nr: SYS.geteuid, errno: 99 }], SECCOMP_RET_ALLOW, process.arch);
    const code = `
      const { sandbox, cred } = openSys();
      const worker = new Worker("import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => parentPort.postMessage(process.geteuid() | 0))", { eval: true });
      await new Promise((up) => worker.once('online', up));
      const filter = Uint8Array.of(${[...filter].join()});
      const results = [sandbox.prctl(38, 1, 0, 0, 0), sandbox.loadFilter(filter, 1), cred.geteuid()];
      worker.postMessage(0);
      const [there] = await new Promise((said) => worker.once('message', (value) => said([value])));
      process.stdout.write(JSON.stringify([...results, there]));
      process.exit(0);`;
    const { stdout, stderr } = await runChild(code);
    expect(stderr).to.equal('');
    const [noNewPrivs, loaded, here, there] = JSON.parse(stdout) as number[];
    expect([noNewPrivs, loaded, here]).to.deep.equal([0, 0, -1]);
    // The C library does not expect this call to fail, and passes on what the kernel says.
    expect(there).to.be.lessThan(0);
  });
});
