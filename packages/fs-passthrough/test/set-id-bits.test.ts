import { chmodSync, chownSync, statSync, writeFileSync } from 'node:fs';
import { FATTR_KILL_SUIDGID, FATTR_SIZE, FATTR_UID, FUSE_HANDLE_KILLPRIV_V2 } from '@oriel/fuse';
import { CAP_FSETID, EPERM, O_RDWR, O_TRUNC, openSys } from '@oriel/sys';
import { mockSys } from '@oriel/sys/testing';
import { expect } from 'chai';
import { asRoot, checkIdentity } from './support/identity.ts';
import { checkLeaks } from './support/leaks.ts';
import { TestShare } from './support/share.ts';

const USER = 1000;

function modeOf(share: TestShare): number {
  return statSync(share.at('file')).mode & 0o7777;
}

/** Gives `file` its contents and its set-id bits, which a change of contents or owner takes away. */
function arm(share: TestShare, mode: number, owner = 0): void {
  writeFileSync(share.at('file'), 'text');
  chownSync(share.at('file'), owner, owner);
  chmodSync(share.at('file'), mode);
}

function expectFsetid(): void {
  const effective = new Uint32Array(2);
  openSys().cred.capgetEffective(effective);
  expect(effective[0]! & (1 << CAP_FSETID)).to.not.equal(0);
}

describe('set-user-ID and set-group-ID bits', () => {
  checkLeaks();
  checkIdentity();

  asRoot('stay where the group may not execute, as the kernel has it for a user of the group', () => {
    using share = new TestShare();
    arm(share, 0o6744, USER);
    const nodeid = share.node('file');
    const fh = share.fh(nodeid, O_RDWR);
    share.write(fh, 0, 'x', 0, 4);
    expect(modeOf(share), 'write').to.equal(0o2744);
    arm(share, 0o6744, USER);
    share.open(nodeid, O_RDWR | O_TRUNC, true);
    expect(modeOf(share), 'open').to.equal(0o2744);
    arm(share, 0o6744, USER);
    share.setattr(nodeid, { valid: FATTR_SIZE | FATTR_KILL_SUIDGID, size: 2 });
    expect(modeOf(share), 'truncation').to.equal(0o2744);
    expect(openSys().cred.getegid()).to.equal(0);
    const made = share.create('made', O_RDWR);
    expect(made.result).to.equal(0);
    expect(statSync(share.at('made')).gid).to.equal(0);
  });

  asRoot('are cleared by a write, an open and a truncation that ask for it, and only by those', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    arm(share, 0o6755);
    const nodeid = share.node('file');
    const fh = share.fh(nodeid, O_RDWR);

    share.write(fh, 0, 'x');
    expect(modeOf(share), 'plain write').to.equal(0o6755);
    share.write(fh, 0, 'x', 0, 4);
    expect(modeOf(share), 'write').to.equal(0o755);
    arm(share, 0o6755);
    share.open(nodeid, O_RDWR | O_TRUNC);
    expect(modeOf(share), 'plain open').to.equal(0o6755);
    arm(share, 0o6755);
    share.open(nodeid, O_RDWR | O_TRUNC, true);
    expect(modeOf(share), 'open').to.equal(0o755);
    arm(share, 0o6755);
    share.setattr(nodeid, { valid: FATTR_SIZE, size: 1 });
    expect(modeOf(share), 'plain truncation').to.equal(0o6755);
    share.setattr(nodeid, { valid: FATTR_SIZE | FATTR_KILL_SUIDGID, size: 2 });
    expect(modeOf(share), 'truncation').to.equal(0o755);
    arm(share, 0o6755);
    share.setattr(nodeid, { valid: FATTR_UID | FATTR_KILL_SUIDGID, uid: USER });
    expect(modeOf(share), 'chown').to.equal(0o755);
    expectFsetid();
  });

  asRoot('are cleared by FALLOCATE and COPY_FILE_RANGE, whoever asks, where the driver leaves them to us', () => {
    using share = new TestShare();
    arm(share, 0o6777);
    const nodeid = share.node('file');
    const fh = share.fh(nodeid, O_RDWR);
    const from = share.put('from', 'other');
    const source = share.fh(from, O_RDWR);
    const allocate = (): number => share.fs.fallocate(share.op(), nodeid, fh, 0, 9, 0);
    const copy = (): number => share.fs.copyFileRange(share.op(), from, source, 0, nodeid, fh, 0, 5);

    expect([allocate(), modeOf(share)]).to.deep.equal([0, 0o6777]);
    expect([copy(), modeOf(share)]).to.deep.equal([5, 0o6777]);
    share.fs.initialised(FUSE_HANDLE_KILLPRIV_V2);
    expect([allocate(), modeOf(share)]).to.deep.equal([0, 0o777]);
    arm(share, 0o6777);
    expect([copy(), modeOf(share)]).to.deep.equal([5, 0o777]);
    expectFsetid();
  });

  asRoot('cost nothing where there are none', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    const fh = share.fh(share.put('file', 'text'), O_RDWR);

    expect(share.write(fh, 0, 'x', 0, 4)).to.equal(1);

    expect(sys.count('cred.capsetEffective')).to.equal(0);
  });

  asRoot('stay, with an error, when the right to keep them cannot be given up', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    chmodSync(share.at('file'), 0o4755);
    const fh = share.fh(share.node('file'), O_RDWR);
    sys.failNext('cred.capsetEffective', EPERM);

    expect(share.write(fh, 0, 'x', 0, 4)).to.equal(-EPERM);

    expect(share.read(fh, 0, 9)).to.equal('text');
  });

  asRoot('make the process end when that right cannot be taken back', () => {
    const sys = mockSys();
    using share = new TestShare({ sys });
    writeFileSync(share.at('file'), 'text');
    chmodSync(share.at('file'), 0o4755);
    const fh = share.fh(share.node('file'), O_RDWR);
    const effective = new Uint32Array(2);
    openSys().cred.capgetEffective(effective);
    sys.failNext('cred.capsetEffective', EPERM, 1, 1);

    expect(() => share.write(fh, 0, 'x', 0, 4)).to.throw('ERR_PASSTHROUGH_CREDENTIALS');

    openSys().cred.capsetEffective(effective[0]!, effective[1]!);
  });
});
