import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crc32, deflateSync } from 'node:zlib';
import { tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { checkPicture } from '../src/demo/gpu-tour.ts';
import { decodePng } from '../src/demo/png.ts';
import { testPicture } from '../src/demo/test-picture.ts';
import { type TouredShare, tour } from '../src/demo/tour.ts';
import { pattern } from './support/bytes.ts';
import { MIB, Share } from './support/share.ts';

const START = fileURLToPath(new URL('../start.ts', import.meta.url));
/** A program that hangs is killed after this. */
const PATIENCE_MS = 60_000;
const NODE_OPTIONS = ['--conditions=@oriel/source', '--disable-warning=ExperimentalWarning'];

/** Runs it with a temporary folder of its own. */
function start(args: readonly string[] = []): {
  status: number | null;
  stdout: string;
  stderr: string;
  left: string[];
  picture: Buffer | null;
} {
  using dir = tempDir('oriel-npm-start-');
  const { status, stdout, stderr } = spawnSync(process.execPath, [...NODE_OPTIONS, START, ...args], {
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    env: { ...process.env, TMPDIR: dir.path },
  });
  const left = readdirSync(dir.path, { recursive: true, encoding: 'utf8' });
  const file = left.find((name) => name.endsWith('.png'));
  const picture = file === undefined ? null : readFileSync(join(dir.path, file));
  return { status, stdout, stderr, left, picture };
}

describe('npm start', function () {
  this.timeout(2 * PATIENCE_MS);

  it('shows files and GPU, every byte checked, and leaves nothing but the picture', () => {
    const { status, stdout, stderr, left, picture } = start();
    expect(stderr).to.equal('');
    expect(status).to.equal(0);
    expect(stdout).to.include('| Hello from the host.');
    expect(stdout).to.match(/A {2}noise\.bin: 4 MiB at 0x0\+2 MiB, 0x200000\+2 MiB/);
    expect(stdout).to.include('2 mappings made, 2 removed');
    expect(stdout).to.include('All bytes agree.');
    expect(stdout).to.match(/A {2}shared blob: 4 MiB at 0x0\+4 MiB/);
    expect(stdout).to.include('every pixel as it was drawn');
    const pids = [...stdout.matchAll(/back-end {2}process (\d+)/g)].map(([, pid]) => pid);
    expect(pids).to.have.length(2);
    for (const pid of pids) expect(existsSync(`/proc/${pid}`)).to.equal(false);
    expect(left).to.have.length(2);
    const { width, height, rgb } = decodePng(picture!);
    expect([width, height]).to.deep.equal([640, 480]);
    expect([...rgb.subarray(0, 3)], 'the white bar').to.deep.equal([255, 255, 255]);
    expect([...rgb.subarray(-3)], 'the end of the ramp').to.deep.equal([255, 255, 255]);
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

describe('the picture of npm start', () => {
  it('is refused when one pixel is not as it was drawn', () => {
    using dir = tempDir('oriel-picture-');
    const path = join(dir.path, 'picture.png');
    const pixels = testPicture(40, 30);
    writeFileSync(path, png(40, 30, pixels));
    const printed: string[] = [];
    checkPicture(path, pixels, (line) => printed.push(line));
    expect(printed.join('\n')).to.include(path);
    pixels[1000]! ^= 1;
    expect(() => checkPicture(path, pixels, () => {})).to.throw('the picture: guest and host do not agree');
  });
});

/** A PNG file that uses every filter, a row each in turn. */
function png(width: number, height: number, bgrx: Uint8Array): Buffer {
  const rows = Array.from({ length: height }, (_, y) => {
    const at = (x: number, row: number, channel: number): number =>
      x < 0 || row < 0 ? 0 : bgrx[(row * width + x) * 4 + 2 - channel]!;
    const filter = y % 5;
    const row = Array.from({ length: width * 3 }, (_, index) => {
      const [x, channel] = [Math.floor(index / 3), index % 3];
      const [left, up, corner] = [at(x - 1, y, channel), at(x, y - 1, channel), at(x - 1, y - 1, channel)];
      const estimate = left + up - corner;
      const nearest = [left, up, corner].reduce((best, one) =>
        Math.abs(estimate - one) < Math.abs(estimate - best) ? one : best,
      );
      return at(x, y, channel) - [0, left, up, (left + up) >> 1, nearest][filter]!;
    });
    return Uint8Array.from([filter, ...row]);
  });
  const header = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 2, 0, 0, 0]);
  const chunks = [
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ];
  return Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), ...chunks]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}
