import { expect } from 'chai';
import { hasRemoteMount } from '../src/sandbox/remote-mounts.ts';

const MOUNTS = [
  '1 0 8:1 / / rw shared:1 - ext4 /dev/sda rw',
  '2 1 0:20 / /srv/nfs rw - nfs4 host:/x rw',
  '3 1 0:21 / /srv/data/deep\\040inside rw - fuse.sshfs me@there rw',
  '4 1 0:22 / /srv/nfs/fast rw - tmpfs none rw',
  '5 1 0:23 / /srv/covered rw - nfs host:/y rw',
  '6 1 0:24 / /srv/covered rw - xfs /dev/sdb rw',
  '',
].join('\n');

describe('mounts that may not answer', () => {
  for (const [dir, remote] of [
    ['/srv', true],
    ['/srv/nfs', true],
    ['/srv/nfs/below', true],
    ['/srv/nfs/fast', false],
    ['/srv/nfsx', false],
    ['/srv/data', true],
    ['/srv/data/deep inside/more', true],
    ['/srv/covered', false],
    ['/home', false],
    ['/', true],
  ] as const) {
    it(`${dir}: ${remote ? 'some' : 'none'}`, () => {
      expect(hasRemoteMount(dir, MOUNTS)).to.equal(remote);
    });
  }
});
