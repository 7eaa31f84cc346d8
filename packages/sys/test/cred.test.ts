import { expect } from 'chai';
import { describe, it } from 'mocha';
import { CAP_CHOWN, check, EINVAL, EPERM, openSys } from '../src/index.ts';
import { runInWorker } from './run-in-worker.ts';

const { cred } = openSys();
const isRoot = process.getuid?.() === 0;

describe('cred', () => {
  it('reads ids, capabilities and the umask', () => {
    expect(cred.geteuid()).to.equal(process.geteuid?.());
    expect(cred.getegid()).to.equal(process.getegid?.());
    const old = cred.umask(0o027);
    expect(cred.umask(old)).to.equal(0o027);
    const caps = new Uint32Array(2);
    expect(cred.capgetEffective(caps)).to.equal(0);
    expect(caps[0]! !== 0).to.equal(isRoot);
  });

  it('answers with negative error numbers', () => {
    expect(cred.unshare(0x1)).to.equal(-EINVAL);
    expect(cred.setgroups(new Uint32Array(100_000))).to.be.oneOf([-EINVAL, -EPERM]);
  });

  it('takes and drops one capability', function () {
    if (!isRoot) {
      this.skip();
    }
    const caps = new Uint32Array(2);
    check(cred.capgetEffective(caps), 'capget');
    const without = (caps[0]! & ~(1 << CAP_CHOWN)) >>> 0;
    expect(cred.capsetEffective(without, caps[1]!)).to.equal(0);
    const now = new Uint32Array(2);
    check(cred.capgetEffective(now), 'capget');
    expect(now[0]).to.equal(without);
    expect(now[1]).to.equal(caps[1]);
    expect(cred.capsetEffective(caps[0]!, caps[1]!)).to.equal(0);
  });

  it('changes one thread only', async function () {
    if (!isRoot) {
      this.skip();
    }
    const seen = await runInWorker<{ euid: number; egid: number; mainEuid: string; umask: number }>(`
      import { readFileSync } from 'node:fs';
      const { cred } = openSys();
      const results = [
        cred.setgroups(Uint32Array.of(7)),
        cred.setresgid(-1, 4321, -1),
        cred.unshare(0x200),
        cred.setresuid(-1, 1234, -1),
      ];
      if (results.some((result) => result !== 0)) throw new Error(results.join());
      cred.umask(0o123);
      const seen = { euid: cred.geteuid(), egid: cred.getegid(), umask: cred.umask(0o123) };
      cred.setresuid(-1, 0, -1);
      parentPort.postMessage(seen);
    `);
    expect(seen).to.deep.equal({ euid: 1234, egid: 4321, umask: 0o123 });
    expect(cred.geteuid()).to.equal(0);
    expect(cred.getegid()).to.equal(process.getgid?.());
    const old = cred.umask(0o022);
    cred.umask(old);
    expect(old).to.not.equal(0o123);
  });
});
