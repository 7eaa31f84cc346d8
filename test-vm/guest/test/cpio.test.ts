import { spawnSync } from 'node:child_process';
import { expect } from 'chai';
import { cpio } from '../src/cpio.ts';

describe('cpio', () => {
  const archive = cpio([
    { kind: 'dir', path: '/bin' },
    { kind: 'file', path: '/bin/a', data: Buffer.from('abcde'), mode: 0o755 },
    { kind: 'link', path: '/bin/b', target: 'a' },
    { kind: 'char', path: '/dev-console', major: 5, minor: 1 },
  ]);

  it('lays out a header as the kernel reads it', () => {
    // c_magic, c_ino, c_mode, c_uid, c_gid, c_nlink, c_mtime, c_filesize, majors and minors, c_namesize, c_check
    expect(archive.toString('latin1', 0, 6 + 13 * 8)).to.equal(
      `070701${'00000001'}${'000041ed'}${'0'.repeat(16)}${'00000001'}${'0'.repeat(48)}${'00000004'}${'0'.repeat(8)}`,
    );
    expect(archive.length % 4).to.equal(0);
    expect(archive.includes('TRAILER!!!\0')).to.equal(true);
  });

  it('gives the same bytes for the same entries', () => {
    expect(cpio([{ kind: 'dir', path: 'x' }])).to.deep.equal(cpio([{ kind: 'dir', path: '/x' }]));
  });

  it('is read by cpio(1)', function () {
    const listed = spawnSync('cpio', ['-itv', '--quiet'], { input: archive, encoding: 'utf8' });
    if (listed.error !== undefined) this.skip();
    expect(listed.stderr).to.equal('');
    expect(listed.stdout).to.match(/^drwxr-xr-x .* bin$/m);
    expect(listed.stdout).to.match(/^-rwxr-xr-x .* 5 .* bin\/a$/m);
    expect(listed.stdout).to.match(/^lrwxrwxrwx .* bin\/b -> a$/m);
    expect(listed.stdout).to.match(/^crw------- .* 5, +1 .* dev-console$/m);
  });
});
