import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  VIRTIO_GPU_BLOB_MEM_HOST3D,
  VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM,
  VIRTIO_GPU_RESP_OK_MAP_INFO,
} from '@oriel/gpu-blob';
import {
  encodeAttachBacking,
  encodeCtxCreate,
  encodeGetDisplayInfo,
  encodeResourceCreate2d,
  encodeResourceCreateBlob,
  encodeResourceMapBlob,
  encodeResourceUnmapBlob,
  encodeResourceUnref,
  encodeTransferToHost2d,
  encodeUpdateCursor,
} from '@oriel/gpu-blob/testing';
import { type TempDir, tempDir } from '@oriel/sys/testing';
import { expect } from 'chai';
import { decode } from 'fast-png';
import { GpuGuest } from './fixtures/gpu-guest.ts';
import { asRgb, draw, HEIGHT, ok, pictureOf, pictures, redraw, testPicture, WIDTH } from './fixtures/gpu-pictures.ts';
import { Program } from './fixtures/program.ts';

const MAIN = '../../src/main.ts';
const execute = promisify(execFile);

describe('oriel gpu, the program', function () {
  this.timeout(20_000);
  let dir: TempDir;
  let socketPath: string;
  let control: string;
  const programs: Program[] = [];
  const guests: GpuGuest[] = [];

  function start(...args: readonly string[]): Program {
    const program = new Program(MAIN, args);
    programs.push(program);
    return program;
  }

  async function serve(...more: readonly string[]): Promise<Program> {
    const program = start('gpu', `--socket-path=${socketPath}`, `--control-socket=${control}`, ...more);
    await program.says('listening');
    return program;
  }

  function guest(): GpuGuest {
    const made = new GpuGuest(socketPath);
    guests.push(made);
    return made;
  }

  /** `oriel ctl`, the program. */
  async function ctl(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
    const main = new URL('../src/main.ts', import.meta.url).pathname;
    const command = ['--conditions=@oriel/source', main, 'ctl', `--socket=${control}`, ...args];
    try {
      return { code: 0, ...(await execute(process.execPath, command)) };
    } catch (error) {
      return error as { code: number; stdout: string; stderr: string };
    }
  }

  async function entries(...args: readonly string[]): Promise<Record<string, unknown>[]> {
    const { code, stdout, stderr } = await ctl(...args);
    expect(code, stderr).to.equal(0);
    return stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  beforeEach(() => {
    dir = tempDir();
    socketPath = join(dir.path, 'gpu.sock');
    control = join(dir.path, 'control');
  });
  afterEach(async () => {
    for (const one of guests.splice(0)) {
      one[Symbol.dispose]();
    }
    for (const program of programs.splice(0)) {
      program.child.kill('SIGKILL');
      await program.end();
    }
    dir[Symbol.dispose]();
  });

  it('shows its outputs and its kinds of context to the guest', async () => {
    const program = await serve('--outputs=1024x768,off');
    const driver = guest();
    const config = driver.config();
    expect([config.getUint32(8, true), config.getUint32(12, true)]).to.deep.equal([2, 1]);
    const info = driver.command(encodeGetDisplayInfo());
    expect('outputs' in info && info.outputs[0]).to.include({ width: 1024, height: 768, enabled: true });
    expect('outputs' in info && info.outputs[1]).to.include({ enabled: false });
    const end = await program.stop('SIGTERM');
    expect(end.code, program.stderr).to.equal(0);
    expect(existsSync(socketPath) || existsSync(control)).to.equal(false);
    expect(program.stdout).to.equal('');
  });

  it('is a render node without outputs, or without contexts', async () => {
    await serve('--outputs=none', '--capsets=none', '--host-visible=0');
    const config = guest().config();
    expect([config.getUint32(8, true), config.getUint32(12, true)]).to.deep.equal([0, 0]);
    expect(await entries('outputs')).to.deep.equal([]);
    const shot = await ctl('screenshot', join(dir.path, 'x.png'));
    expect(shot.code).to.equal(1);
    expect(shot.stderr).to.match(/^oriel ctl: scanout 0 shows nothing.*\n$/);
  });

  it('keeps pictures: the first one, and the last one although the guest leaves at once', async () => {
    const shots = join(dir.path, 'shots');
    mkdirSync(shots);
    await serve(`--screenshot-dir=${shots}`);
    const arrived = pictures(shots);
    const driver = guest();
    draw(driver, testPicture(1));
    await arrived.next();
    expect([...decode(readFileSync(join(shots, 'scanout-0.png'))).data]).to.deep.equal(asRgb(testPicture(1)));
    for (let seed = 2; seed <= 40; seed++) {
      redraw(driver, testPicture(seed));
    }
    guests.pop()![Symbol.dispose]();
    const last = await pictureOf(40, arrived, shots);
    expect([last.width, last.height]).to.deep.equal([WIDTH, HEIGHT]);
    expect([...last.data]).to.deep.equal(asRgb(testPicture(40)));
    arrived.close();
  });

  it('takes a screenshot, with and without the cursor, to a file and to standard output', async () => {
    await serve();
    const driver = guest();
    const picture = testPicture(9);
    draw(driver, picture);
    const file = join(dir.path, 'shot.png');
    const taken = await ctl('screenshot', file);
    expect(taken, taken.stderr).to.deep.include({ code: 0, stdout: '' });
    const plain = decode(readFileSync(file));
    expect([...plain.data]).to.deep.equal(asRgb(picture));
    expect(statSync(file).mode & 0o777).to.equal(0o600);

    const white = new Uint8Array(64 * 64 * 4).fill(0xff);
    const page = driver.pages(white);
    ok(
      driver.command(
        encodeResourceCreate2d({ resourceId: 2, format: VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, width: 64, height: 64 }),
      ),
    );
    ok(driver.command(encodeAttachBacking({ resourceId: 2, entries: [page] })));
    ok(driver.command(encodeTransferToHost2d({ x: 0, y: 0, width: 64, height: 64, resourceId: 2, offset: 0 })));
    driver.cursor(encodeUpdateCursor({ scanoutId: 0, x: 60, y: 30, resourceId: 2 }));
    await ctl('screenshot', '--cursor', '--scanout=0', file);
    const withCursor = decode(readFileSync(file));
    const corner = (29 * WIDTH + 59) * 3;
    expect([...withCursor.data.slice(corner, corner + 3)]).to.deep.equal([...plain.data.slice(corner, corner + 3)]);
    const covered = (30 * WIDTH + 60) * 3;
    expect([...withCursor.data.slice(covered, covered + 12)]).to.deep.equal(new Array(12).fill(0xff));
    await ctl('screenshot', file);
    expect([...decode(readFileSync(file)).data]).to.deep.equal(asRgb(picture));
    expect((await ctl('screenshot', '--scanout=1', file)).stderr).to.include('scanout 1 shows nothing');
  });

  it('changes its outputs', async () => {
    await serve('--outputs=800x600,640x480');
    const driver = guest();
    const before = await entries('outputs');
    expect(before).to.deep.equal([
      { scanout: 0, width: 800, height: 600, enabled: true, shows: null },
      { scanout: 1, width: 640, height: 480, enabled: true, shows: null },
    ]);
    await entries('outputs', '1024x768');
    driver.untilConfigChange();
    expect(driver.config().getUint32(0, true)).to.equal(1);
    const info = driver.command(encodeGetDisplayInfo());
    expect('outputs' in info && info.outputs[0]).to.include({ width: 1024, height: 768 });
    expect('outputs' in info && info.outputs[1]).to.include({ width: 640, enabled: true });
    const off = await entries('outputs', '1024x768,off');
    expect(off[1]).to.include({ width: 640, height: 480, enabled: false });
    const refused = await ctl('outputs', '800x600,800x600,800x600');
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.include('2');
    expect(await entries('outputs')).to.deep.equal(off);
  });

  it('leaves displays to a front-end that shows them', async () => {
    await serve();
    const driver = guest();
    using _display = driver.openDisplay();
    for (const words of [['outputs'], ['outputs', '800x600'], ['screenshot', join(dir.path, 'x.png')]]) {
      const refused = await ctl(...words);
      expect(refused.code).to.equal(1);
      expect(refused.stderr).to.include('front-end');
    }
  });

  it('shares the memory of its blobs with the host', async () => {
    await serve('--host-visible=64M');
    const driver = guest();
    const ctxId = 1;
    ok(driver.command(encodeCtxCreate({ contextInit: 30 }, { ctxId })));
    const named = { lo: 5, hi: 0x8000_0000 };
    const blob = { blobMem: VIRTIO_GPU_BLOB_MEM_HOST3D, size: 8192 };
    ok(driver.command(encodeResourceCreateBlob({ ...blob, resourceId: 7, blobId: named }, { ctxId })));
    ok(driver.command(encodeResourceCreateBlob({ ...blob, resourceId: 8, blobId: 0 }, { ctxId })));
    expect(driver.command(encodeResourceMapBlob({ resourceId: 7, offset: 0x20_0000 })).type).to.equal(
      VIRTIO_GPU_RESP_OK_MAP_INFO,
    );
    const [first, second] = await entries('blobs');
    const name = String((0x8000_0000n << 32n) | 5n);
    expect(first).to.include({ blobId: name, resource: 7, size: 8192, shmOffset: 0x20_0000 });
    expect(second).to.include({ blobId: '0', resource: 8 }).and.not.to.have.property('shmOffset');
    const fd = openSync(first!['path'] as string, 'r+');
    writeSync(fd, Buffer.from('hello'), 0, 5, 4090);
    const again = openSync(first!['path'] as string, 'r');
    const read = Buffer.alloc(5);
    readSync(again, read, 0, 5, 4090);
    expect(String(read)).to.equal('hello');
    closeSync(fd);
    closeSync(again);
    ok(driver.command(encodeResourceUnmapBlob(7)));
    ok(driver.command(encodeResourceUnref(7)));
    expect((await entries('blobs')).map(({ resource }) => resource)).to.deep.equal([8]);
    const [stats] = await entries('stats');
    expect(stats).to.include({ device: 'gpu', resources: 1, contexts: 1, mappings: 0 });
  });

  it('says what is wrong with a request, and ends with 2 where it was the command line', async () => {
    await serve();
    const wrong = await ctl('outputs', '10x10');
    expect(wrong.code).to.equal(2);
    expect(wrong.stderr).to.match(/^oriel: .*10x10.*\n$/);
    const nobody = await ctl('blobs', '--device=fs');
    expect(nobody.code).to.equal(1);
    expect(nobody.stderr).to.equal("oriel ctl: no device 'fs': there are gpu\n");
    expect((await ctl('screenshot', join(dir.path, 'nowhere', 'x.png'))).code).to.equal(1);
  });

  it('prints its capabilities', async () => {
    const program = start('gpu', '--print-capabilities', '--outputs=none');
    expect((await program.end()).code).to.equal(0);
    expect(JSON.parse(program.stdout)).to.deep.equal({ type: 'gpu', features: [] });
  });
});
