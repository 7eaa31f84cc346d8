import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { type TouredShare, tour } from '../src/demo/tour.ts';
import { pattern } from './support/bytes.ts';
import { MIB, Share } from './support/share.ts';

const START = fileURLToPath(new URL('../start.ts', import.meta.url));
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];

/** Runs it with a temporary folder of its own. */
function start(args: readonly string[] = []): {
  status: number | null;
  stdout: string;
  stderr: string;
  left: string[];
} {
  using dir = tempDir('oriel-npm-start-');
  const { status, stdout, stderr } = spawnSync(process.execPath, [...NODE_OPTIONS, START, ...args], {
    encoding: 'utf8',
    timeout: 10_000,
    env: { ...process.env, TMPDIR: dir.path },
  });
  return { status, stdout, stderr, left: readdirSync(dir.path) };
}

describe('npm start', () => {
  it('mounts, reads and writes by both ways, draws the window, and ends well', () => {
    const { status, stdout, stderr, left } = start();
    expect(stderr).to.equal('');
    expect(status).to.equal(0);
    expect(stdout).to.include('| Hello from the host.');
    expect(stdout).to.match(/A {2}noise\.bin: 4 MiB at 0x0\+2 MiB, 0x200000\+2 MiB/);
    expect(stdout).to.include('2 mappings made, 2 removed');
    expect(stdout).to.include('All bytes agree.');
    const pid = Number(/back-end {2}process (\d+)/.exec(stdout)![1]);
    expect(existsSync(`/proc/${pid}`)).to.equal(false);
    expect(left).to.deep.equal([]);
  });

  it('says how it is used', () => {
    expect(start(['--help'])).to.include({ status: 0, stderr: '' });
  });

  it('refuses what it does not know in one line', () => {
    const { status, stderr } = start(['--gpu']);
    expect(status).to.equal(1);
    expect(stderr.trimEnd().split('\n')).to.have.length(1);
  });
});

describe('the tour', () => {
  it('notices when the guest does not see what the host has', async () => {
    await using share = await Share.start();
    share.put('hello.txt', Buffer.from('what the guest reads\n'));
    share.put('noise.bin', pattern(4 * MIB));
    share.put('lie', Buffer.from('what the host has\n'));
    const lying: TouredShare = {
      socketPath: share.socketPath,
      path: (name) => share.path(name === 'hello.txt' ? 'lie' : name),
    };
    const printed: string[] = [];
    expect(() => tour(lying, (line) => printed.push(line))).to.throw(
      'hello.txt by FUSE READ: guest and host do not agree',
    );
    expect(printed.join('\n')).not.to.include('copied through the ring');
  });
});
