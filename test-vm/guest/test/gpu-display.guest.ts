/** Pictures of a stock guest: shown by QEMU through `vhost-user-gpu-pci`, and headless through the test device. */
import { gunzipSync } from 'node:zlib';
import { expect } from 'chai';
import {
  complaints,
  displayTree,
  type GpuMachine,
  type Guest,
  guestSuite,
  type HostProcess,
  openGpuMachine,
  orielCtl,
  type Picture,
  paintPattern,
  patternPicture,
  ServedProbe,
  startVirtiofsd,
  startWeston,
  vhostUserFs,
  WESTON_BACKGROUND,
  withCursor,
} from '../index.ts';

const WIDTH = 1280;
const HEIGHT = 800;
/** fbcon draws its cursor on and off: that would be in the picture now and then. */
const QUIET_CONSOLE = 'echo 0 >/sys/class/graphics/fbcon/cursor_blink';

/** /dev/fb0 as a picture: 32 bits a pixel, rows without padding. */
async function framebufferOf(guest: Guest): Promise<Picture> {
  const bytes = gunzipSync(Buffer.from(await guest.ok('gzip -c /dev/fb0 | base64'), 'base64'));
  const pixels = Uint32Array.from({ length: WIDTH * HEIGHT }, (_, i) => bytes.readUInt32LE(i * 4) & 0xffffff);
  return { width: WIDTH, height: HEIGHT, pixels };
}

/** The sizes of the modes that the `kms` probe lists; the preferred one comes first. */
function modes(info: readonly string[]): string[] {
  return info.flatMap((line) => /^mode (\d+x\d+)/.exec(line)?.[1] ?? []);
}

/** What both ways of showing a picture must do. */
function showsPictures(machine: () => GpuMachine): void {
  it('shows what is written to the framebuffer device', async () => {
    const { guest } = machine();
    expect(await guest.ok(`${QUIET_CONSOLE}; fbpaint 5`)).to.equal(`${WIDTH}x${HEIGHT}`);
    await machine().shows(patternPicture(WIDTH, HEIGHT, 5));
  });

  it('shows the text of the console', async () => {
    const { guest } = machine();
    await guest.ok(`printf '\\033[2J\\033[Hhello from the console\\n\\033[31mred\\033[32mgreen\\033[0m\\n' >/dev/tty1`);
    const expected = await framebufferOf(guest);
    expect(new Set(expected.pixels).size, 'black, grey, red and green').to.equal(4);
    await machine().shows(expected);
  });

  it('tells the guest its modes, by a right EDID', async () => {
    const kms = await ServedProbe.start(machine().guest, 'kms');
    const info = await kms.ask('info');
    expect(info[0]).to.match(/^connector \d+ connected/);
    expect(info.find((line) => line.endsWith(' preferred'))).to.match(new RegExp(`^mode ${WIDTH}x${HEIGHT} `));
    expect(modes(info)).to.include('1024x768');
    const edid = Buffer.from(info.find((line) => line.startsWith('edid '))!.slice(5), 'hex');
    expect(edid.toString('hex', 0, 8)).to.equal('00ffffffffffff00');
    for (let block = 0; block < edid.length; block += 128) {
      const sum = edid.subarray(block, block + 128).reduce((total, byte) => total + byte, 0);
      expect(sum % 256, `checksum of block ${block / 128}`).to.equal(0);
    }
    await kms.quit();
  });

  it('shows what a DRM client draws, flips and repaints in part', async () => {
    const kms = await ServedProbe.start(machine().guest, 'kms');
    await kms.ask(`set ${WIDTH} ${HEIGHT} 10`);
    await machine().shows(patternPicture(WIDTH, HEIGHT, 10));
    await kms.ask('flip 11');
    const expected = patternPicture(WIDTH, HEIGHT, 11);
    await machine().shows(expected);
    const parts = [
      { x: 0, y: 0, width: 1, height: 1 },
      { x: 1279, y: 799, width: 1, height: 1 },
      { x: 100, y: 200, width: 301, height: 57 },
      { x: 0, y: 400, width: WIDTH, height: 3 },
      { x: 777, y: 0, width: 2, height: HEIGHT },
    ];
    for (const [n, part] of parts.entries()) {
      await kms.ask(`rect ${part.x} ${part.y} ${part.width} ${part.height} ${20 + n}`);
      paintPattern(expected, part, 20 + n);
    }
    await machine().shows(expected);
    for (let seed = 30; seed < 40; seed++) await kms.ask(`flip ${seed}`);
    await machine().shows(patternPicture(WIDTH, HEIGHT, 39));
    await kms.ask('set 1024 768 12');
    await machine().shows(patternPicture(1024, 768, 12));
    await kms.quit();
  });
}

/** Shows a picture in the size that the guest now prefers. */
async function showsPreferred(machine: GpuMachine, kms: ServedProbe, size: string): Promise<void> {
  const info = await kms.ask('hotplug');
  expect(info.find((line) => line.endsWith(' preferred'))).to.match(new RegExp(`^mode ${size} `));
  const [width, height] = size.split('x').map(Number) as [number, number];
  await kms.ask(`set ${width} ${height} 50`);
  await machine.shows(patternPicture(width, height, 50));
}

describe('displays under stock QEMU', () => {
  const suite = guestSuite('gpu-display');

  describe('of vhost-user-gpu-pci', () => {
    let machine: GpuMachine;
    before(async () => {
      machine = await openGpuMachine({
        environment: suite.environment,
        dir: suite.folder('display'),
        device: 'display',
        // With contexts the device offers VIRGL, and QEMU's display would have to do GL.
        args: ['--capsets=none'],
        boot: { mayReboot: true },
      });
    });
    after(() => machine?.[Symbol.asyncDispose]());

    showsPictures(() => machine);

    it('takes the cursor that QEMU shows beside the picture', async () => {
      const kms = await ServedProbe.start(machine.guest, 'kms');
      await kms.ask(`set ${WIDTH} ${HEIGHT} 10`);
      await kms.ask('cursor 5 6 60');
      for (let n = 0; n < 10; n++) await kms.ask(`move ${n * 140 - 64} ${n * 90 - 64}`);
      await kms.ask('hide');
      // A screendump has no cursor, and QEMU's monitor tells nothing of it: it must leave the picture alone.
      await machine.shows(patternPicture(WIDTH, HEIGHT, 10));
      await kms.quit();
    });

    it('tells the guest the size of the window that QEMU shows it in', async () => {
      const kms = await ServedProbe.start(machine.guest, 'kms');
      for (const [width, height] of [
        [1440, 900],
        [1001, 701],
        [WIDTH, HEIGHT],
      ] as const) {
        await machine.resize(width, height);
        await showsPreferred(machine, kms, `${width}x${height}`);
      }
      await kms.quit();
    });

    it('shows pictures after a reboot', async () => {
      await machine.guest.reboot();
      const kms = await ServedProbe.start(machine.guest, 'kms');
      await kms.ask(`set ${WIDTH} ${HEIGHT} 70`);
      await machine.shows(patternPicture(WIDTH, HEIGHT, 70));
      await kms.quit();
    });

    it('ends in order', async () => {
      expect(await machine.guest.poweroff()).to.deep.equal({ code: 0, signal: null });
      expect(machine.backend.alive).to.equal(true);
      // QEMU accepts RING_RESET for this device whoever offers it.
      expect(complaints(machine.backend).filter((line) => !/features that were not offered/.test(line))).to.deep.equal(
        [],
      );
    });
  });

  describe('headless, of the test device', () => {
    let machine: GpuMachine;
    let tree: HostProcess;
    before(async () => {
      const dir = suite.folder('headless');
      const socketPath = `${dir}/tree.sock`;
      const sharedDir = await displayTree();
      tree = await startVirtiofsd(suite.environment, { socketPath, sharedDir, args: ['--readonly'] });
      machine = await openGpuMachine({
        environment: suite.environment,
        dir,
        boot: { qemuArgs: vhostUserFs(socketPath, 'display') },
      });
    });
    after(async () => {
      await machine?.[Symbol.asyncDispose]();
      await tree?.stop();
    });

    showsPictures(() => machine);

    it('draws the cursor where the guest moves it', async () => {
      const kms = await ServedProbe.start(machine.guest, 'kms');
      await kms.ask(`set ${WIDTH} ${HEIGHT} 10`);
      await kms.ask('cursor 0 0 60');
      const picture = patternPicture(WIDTH, HEIGHT, 10);
      for (const [x, y] of [
        [300, 200],
        [0, 0],
        [WIDTH - 10, HEIGHT - 20],
      ] as const) {
        await kms.ask(`move ${x} ${y}`);
        await machine.shows(withCursor(picture, x, y, 60), 'cursor');
      }
      await kms.ask('cursor 0 0 61');
      await machine.shows(withCursor(picture, WIDTH - 10, HEIGHT - 20, 61), 'cursor');
      await machine.shows(picture);
      await kms.ask('hide');
      await machine.shows(picture, 'cursor');
      await kms.quit();
    });

    it('tells the guest the size that `oriel ctl` gives', async () => {
      const kms = await ServedProbe.start(machine.guest, 'kms');
      for (const size of ['1440x900', '1001x701', '3840x2160', '1280x800']) {
        await orielCtl(machine.controlSocket, 'outputs', size);
        await showsPreferred(machine, kms, size);
      }
      await kms.quit();
    });

    it('runs weston, which draws what its own screenshot says', async () => {
      const weston = await startWeston(machine.guest, 'display');
      // One corner is the background's, and the client has drawn its many colours.
      const drawn = ({ pixels }: Picture) =>
        pixels[0] === WESTON_BACKGROUND && new Set(pixels).size > 100 ? undefined : 'weston has not drawn';
      expect(await machine.screen.until(drawn)).to.equal(undefined);
      await weston.freeze();
      const own = await weston.screenshot();
      expect(drawn(own)).to.equal(undefined);
      await machine.shows(own);
      const log = await weston.log();
      expect(log)
        .to.match(/using \/dev\/dri\/card0/)
        .and.match(/Using Pixman renderer/);
      expect(log, 'weston checks the EDID').to.not.match(/fails conformity/);
      await weston.stop();
    });

    it('ends in order', async () => {
      expect(await machine.guest.poweroff()).to.deep.equal({ code: 0, signal: null });
      expect(machine.backend.alive).to.equal(true);
      expect(complaints(machine.backend)).to.deep.equal([]);
    });
  });

  describe('headless, of the test device without contexts, where the pixels stay in guest memory', () => {
    let machine: GpuMachine;
    before(async () => {
      const args = ['--capsets=none'];
      machine = await openGpuMachine({ environment: suite.environment, dir: suite.folder('plain'), args });
    });
    after(() => machine?.[Symbol.asyncDispose]());

    it('has the features for that', async () => {
      const log = await machine.guest.ok('dmesg');
      expect(log).to.match(/features: -virgl \+edid \+resource_blob \+host_visible/);
      expect(log).to.match(/features: -context_init/);
    });

    showsPictures(() => machine);

    it('ends in order', async () => {
      expect(await machine.guest.poweroff()).to.deep.equal({ code: 0, signal: null });
      expect(complaints(machine.backend)).to.deep.equal([]);
    });
  });
});
